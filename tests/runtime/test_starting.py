"""Signs of life before there are charts: while the start goes on, and for no longer than one may take."""

from __future__ import annotations

import asyncio

from runtime.kitchen import CountedBeat

from agent.runtime.runtime import PULSE_S
from agent.runtime.starting import START_S, Starting


async def test_a_slow_start() -> None:
    """From its beginning to its end there is a pulse every few seconds; afterwards the charts have their own."""
    beat, loop = CountedBeat(), asyncio.get_running_loop()
    starting, begun_s = Starting(beat), loop.time()
    starting.begin()
    await asyncio.sleep(PULSE_S * 3 + 1)
    starting.end()
    await asyncio.sleep(60)
    assert [at_s - begun_s for at_s in beat.pulses_s] == [0, PULSE_S, 2 * PULSE_S, 3 * PULSE_S]
    assert beat.states == {"agent": "starting"}


async def test_a_start_that_is_stuck() -> None:
    """Its pulse ends when its time is over, although the loop turns; the watchdog and the launcher then end it."""
    beat, loop = CountedBeat(), asyncio.get_running_loop()
    starting, begun_s = Starting(beat), loop.time()
    starting.begin()
    await asyncio.sleep(3600)
    assert START_S - PULSE_S < beat.pulses_s[-1] - begun_s <= START_S
    starting.end()
