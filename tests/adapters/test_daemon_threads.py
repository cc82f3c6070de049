"""Threads that may be left waiting."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from agent.adapters.daemon_threads import AllBusy, DaemonThreads

pytestmark = pytest.mark.real_time


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a question waits for; opened at the end."""
    gate = threading.Event()
    yield gate
    gate.set()


async def test_an_answer() -> None:
    """It comes from a thread other than ours."""
    asked_on = await DaemonThreads("test", 1).ask(threading.current_thread)
    assert asked_on.name == "test"
    assert asked_on.daemon


async def test_an_error() -> None:
    """It is the asker's."""

    def fail() -> None:
        raise KeyError("odd")

    with pytest.raises(KeyError, match="odd"):
        await DaemonThreads("test", 1).ask(fail)


async def test_no_more_than_so_many(gate: threading.Event) -> None:
    """Also when nobody waits for the answers any more; a place is free again when a thread has ended."""
    threads = DaemonThreads("test", 2)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await threads.ask(gate.wait)
    with pytest.raises(AllBusy):
        threads.ask(gate.wait)
    gate.set()
    async with asyncio.timeout(5):
        while True:
            try:
                assert await threads.ask(gate.wait)
                break
            except AllBusy:
                await asyncio.sleep(0.01)


def test_a_thread_that_waits_for_ever() -> None:
    """It does not keep the process from ending."""
    lines = """
import asyncio, threading
from agent.adapters.daemon_threads import DaemonThreads
async def main():
    asked = DaemonThreads("test", 1).ask(threading.Event().wait)
    await asyncio.wait({asked}, timeout=0.01)
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", lines], check=True, timeout=20, capture_output=True
    )
    assert ended.stderr == b""
