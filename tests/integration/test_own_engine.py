"""The engines that tests run on keep their word."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import docker
import pytest
from engine import LABEL, Container, Containers, OwnEngine, answers, connect


@contextlib.contextmanager
def client_of(engine: OwnEngine) -> Iterator[docker.APIClient]:
    with contextlib.closing(connect(engine.url)) as client:
        yield client


def run_container(engine: OwnEngine) -> tuple[Container, int]:
    """A started container and the process ID of its first process."""
    with client_of(engine) as client:
        container = Containers(client).run()
        return container, client.inspect_container(container.id)["State"]["Pid"]


def traces_of(root: Path, container: Container) -> list[str]:
    """Whatever is left on this machine of an engine that lived in `root`."""
    mounts = [
        line for line in Path("/proc/self/mounts").read_text().splitlines() if str(root) in line
    ]
    commands = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            commands.append(process.read_text(errors="replace"))
    groups = [str(group) for group in Path("/sys/fs/cgroup").glob(f"**/{container.id}")]
    files = [str(root)] if root.exists() else []
    return [*mounts, *(command for command in commands if str(root) in command), *groups, *files]


@contextlib.contextmanager
def watched(pid: int) -> Iterator[Callable[[], bool]]:
    """Tells whether the process has ended, whoever has its number by then."""
    process = os.pidfd_open(pid)
    try:
        yield lambda: bool(select.select([process], [], [], 0)[0])
    finally:
        os.close(process)


async def test_an_own_engine_answers_and_runs_containers(own_engine: OwnEngine) -> None:
    """A started engine runs a container from the test image."""
    container, _ = run_container(own_engine)
    with client_of(own_engine) as client:
        assert client.inspect_container(container.id)["State"]["Status"] == "running"


async def test_a_stopped_engine_stops_its_containers_and_remembers_them(
    own_engine: OwnEngine,
) -> None:
    """Stopping ends what runs, with its own exit code; the next start still lists it."""
    container, pid = run_container(own_engine)
    with watched(pid) as has_ended:
        await own_engine.stop()
        assert has_ended()
    await own_engine.start()
    with client_of(own_engine) as client:
        state = client.inspect_container(container.id)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)


async def test_a_killed_engine_leaves_its_containers_running(own_engine: OwnEngine) -> None:
    """A kill takes dockerd and containerd, not the containers; the next start lists them."""
    container, pid = run_container(own_engine)
    with watched(pid) as has_ended:
        await own_engine.kill()
        assert not has_ended()
        assert not answers(own_engine.url)
    await own_engine.start()
    with client_of(own_engine) as client:
        assert [listed["Id"] for listed in client.containers(all=True)] == [container.id]


async def stop(engine: OwnEngine) -> None:
    await engine.stop()


async def kill(engine: OwnEngine) -> None:
    await engine.kill()


async def leave_running(engine: OwnEngine) -> None:
    """Nothing: closing has it all to do."""


@pytest.mark.own_engine
@pytest.mark.skipif(OwnEngine.obstacle() is not None, reason=str(OwnEngine.obstacle()))
@pytest.mark.parametrize("end", [stop, kill, leave_running])
async def test_a_closed_engine_leaves_nothing_behind(
    end: Callable[[OwnEngine], Awaitable[None]],
) -> None:
    """However it ended: no process, mount, control group or file, and its container is gone."""
    async with OwnEngine() as engine:
        container, pid = run_container(engine)
        with watched(pid) as has_ended:
            await end(engine)
            await engine.close()
            assert has_ended()
    assert traces_of(engine.root, container) == []


def test_throwaway_containers_are_removed(
    docker_client: docker.APIClient, busybox_image: str
) -> None:
    """All that a factory made is removed, running or not, and no other factory's."""
    mine, others = (
        Containers(docker_client, busybox_image),
        Containers(docker_client, busybox_image),
    )
    try:
        made = {mine.run("one").id, mine.create("two").id}
        kept = others.create("three").id
        mine.remove_all()
        labelled = docker_client.containers(all=True, filters={"label": [LABEL]})
        left = {container["Id"] for container in labelled}
        assert kept in left
        assert not made & left
    finally:
        mine.remove_all()
        others.remove_all()
