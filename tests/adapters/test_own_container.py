"""Whether we run in a container, and in which, is believed when the engine confirms it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.engine import FakeEngine

from agent.adapters.own_container import find_own_container
from agent.core.own_container import OwnContainer
from agent.ports import EngineBusy


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def proc_of(directory: Path, container_id: str) -> Path:
    """A `/proc/self` as it looks inside a container."""
    (directory / "mountinfo").write_text(
        f"1 2 8:1 /var/lib/docker/containers/{container_id}/hostname /etc/hostname rw - ext4 x rw\n"
    )
    (directory / "cgroup").write_text("0::/\n")
    return directory


async def test_in_a_container(engine: FakeEngine, tmp_path: Path) -> None:
    """Found by its mounts, whatever the host name is."""
    own = engine.add("dockmon-agent", running=True)
    found = await find_own_container(engine, hostname="rack7", proc=proc_of(tmp_path, own))
    assert found == OwnContainer(own)


async def test_by_the_host_name(engine: FakeEngine, tmp_path: Path) -> None:
    """Where nothing else tells: the short ID becomes the whole."""
    own = engine.add("dockmon-agent", running=True)
    assert await find_own_container(engine, hostname=own[:12], proc=tmp_path) == OwnContainer(own)


async def test_natively(engine: FakeEngine, tmp_path: Path) -> None:
    """Nothing hints at a container, so the engine is not even asked."""
    assert await find_own_container(engine, hostname="rack7", proc=tmp_path) is None
    assert not engine.calls


async def test_in_a_container_of_another_engine(engine: FakeEngine, tmp_path: Path) -> None:
    """The engine does not know it: nothing it does to its containers can end us."""
    proc = proc_of(tmp_path, "a1" * 32)
    assert await find_own_container(engine, hostname="a1a1a1a1a1a1", proc=proc) is None


async def test_a_host_that_is_called_like_a_container(engine: FakeEngine, tmp_path: Path) -> None:
    """A name is no ID, though the engine finds a container by it."""
    engine.add("deadbeef0000", running=True)
    assert await find_own_container(engine, hostname="deadbeef0000", proc=tmp_path) is None


@pytest.mark.parametrize("is_down", [True, False])
async def test_an_engine_that_does_not_answer(
    engine: FakeEngine, tmp_path: Path, is_down: bool
) -> None:
    """It cannot contradict: better to refuse an order needlessly than to stop ourselves."""
    if is_down:
        engine.down()
    else:
        engine.failing["inspect_container"] = EngineBusy("4 reads are under way")
    proc = proc_of(tmp_path, "a1" * 32)
    assert await find_own_container(engine, hostname="rack7", proc=proc) == OwnContainer("a1" * 32)
