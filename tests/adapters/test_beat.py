"""The watchdog outside the loop, and the socket on which it can be asked."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.adapters.beat import Watchdog, ask, health_socket

pytestmark = pytest.mark.real_time

STALLS = """
import asyncio
from agent.adapters.beat import Watchdog

async def main():
    Watchdog(stalled_after_s=1).pulse({"lifecycle": "connected"})
    while True:  # a loop that never gets another turn
        pass

asyncio.run(main())
"""


def test_a_stalled_loop_ends_the_process() -> None:
    """Nothing inside can help any more: the stacks are told, and the restart policy begins anew."""
    ended = subprocess.run(
        (sys.executable, "-c", STALLS), capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 1
    assert "Timeout (0:00:01)!" in ended.stderr
    assert "in main" in ended.stderr


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "health.sock"


async def asked(path: Path) -> dict[str, object] | None:
    return await asyncio.get_running_loop().run_in_executor(None, lambda: ask((path,)))


async def test_what_runs(path: Path) -> None:
    """Whoever asks is told which release answers, and each pulse goes to the launcher as well."""
    beats: list[str] = []
    watchdog = Watchdog(
        about={"version": "3.1.0", "on_trial": True}, heartbeat=lambda: beats.append("beat")
    )
    async with health_socket(watchdog, (path,)):
        watchdog.pulse({"lifecycle": "backoff"})
        told = await asked(path)
    watchdog.stop()
    assert told is not None
    assert (told["version"], told["on_trial"], told["alive"]) == ("3.1.0", True, True)
    assert beats == ["beat"]


async def test_alive_is_what_still_decides(path: Path) -> None:
    """Before its first pulse an agent is not alive; after it, it tells its states."""
    watchdog = Watchdog()
    async with health_socket(watchdog, (path,)) as bound:
        assert bound == path
        before = await asked(path)
        watchdog.pulse({"lifecycle": "backoff"})
        after = await asked(path)
    watchdog.stop()
    assert before is not None
    assert before["alive"] is False
    assert after is not None
    assert (after["alive"], after["states"]) == (True, {"lifecycle": "backoff"})


async def test_nobody_answers(path: Path) -> None:
    """Without an agent, or with a socket a dead one left behind, there is no answer."""
    assert await asked(path) is None
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert await asked(path) is None


async def test_a_left_over_socket_is_taken_over(path: Path) -> None:
    """What a killed agent left behind does not keep the next one from answering."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with health_socket(Watchdog(), (path,)) as bound:
        assert bound == path
    assert await asked(path) is None


async def test_a_second_agent_leaves_the_first_alone(path: Path) -> None:
    """Two on one machine: the second answers elsewhere or nowhere, and takes nothing from the first."""
    elsewhere = path.with_name("elsewhere.sock")
    first, second = Watchdog(), Watchdog()
    async with health_socket(first, (path,)):
        async with health_socket(second, (path, elsewhere)) as bound:
            assert bound == elsewhere
        async with health_socket(second, (path,)) as bound:
            assert bound is None
        assert await asked(path) is not None


async def test_a_host_without_run(tmp_path: Path) -> None:
    """Where no path can be bound, the agent runs all the same."""
    async with health_socket(Watchdog(), (tmp_path / "missing" / "health.sock",)) as bound:
        assert bound is None
