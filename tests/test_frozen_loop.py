"""The clock all other scenarios stand on."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from frozen_loop import Deadlock, FrozenLoop


def frozen() -> FrozenLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FrozenLoop)
    return loop


async def test_thirty_hours_pass_at_once() -> None:
    """A sleep ends at its exact virtual instant, on both clocks."""
    began_at = datetime.now(UTC)
    await asyncio.sleep(30 * 3600)
    assert frozen().time() == 30 * 3600
    assert datetime.now(UTC) - began_at == timedelta(hours=30)


async def test_odd_fractions_never_spin() -> None:
    """A delay finer than a microsecond is rounded up, so that the loop makes progress."""
    for _ in range(1000):
        await asyncio.sleep(3.99e-07)
    assert 0.001 <= frozen().time() < 0.01


async def test_waiting_for_less_than_the_clock_can_tell() -> None:
    """Who asks again until an instant is past gets there, though the rest is lost in rounding."""
    due_s = frozen().time() + 14_400.000_000_000_01
    await asyncio.sleep(14_400)
    while (rest_s := due_s - frozen().time()) > 0:
        await asyncio.sleep(rest_s)
    assert 14_400 < frozen().time() < 14_400.001


async def test_a_thread_stops_time() -> None:
    """Real work in an executor takes no virtual time, so a timeout around it does not fire."""
    async with asyncio.timeout(0.001):
        await frozen().run_in_executor(None, time.sleep, 0.05)  # the real work
    assert frozen().time() < 0.001


async def test_wall_clock_steps_move_no_timer() -> None:
    """After an NTP step back of two hours a timer due in ten seconds is due in ten seconds."""
    frozen().call_later(5, frozen().step_wall_clock, timedelta(hours=-2))
    await asyncio.sleep(10)
    assert frozen().time() == 10
    assert datetime.now(UTC) == datetime(2025, 12, 31, 22, 0, 10, tzinfo=UTC)


def test_a_forgotten_wake_up_is_an_error() -> None:
    """A scenario in which nothing can happen any more fails within a second instead of hanging."""
    loop = FrozenLoop()
    try:
        with pytest.raises(Deadlock):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()
