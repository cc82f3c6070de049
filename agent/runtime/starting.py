"""Signs of life of an agent that has no charts yet."""

from __future__ import annotations

import asyncio
import logging

from agent.ports import Beat
from agent.runtime.runtime import PULSE_S

START_S = 180.0
"""For the whole start. An engine, a disk and a Compose that use up their deadlines come to less than two minutes."""

STATES = {"agent": "starting"}

log = logging.getLogger("agent")


class Starting:
    """Pulses from the loop that starts the agent, as a chart with one state and a deadline would.

    When the deadline has passed there are no more pulses, though the loop may turn: the watchdog then ends the process
    and tells what each thread waits for.
    """

    def __init__(self, beat: Beat) -> None:
        self._beat = beat
        self._until_s = 0.0
        self._next: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self._until_s = asyncio.get_running_loop().time() + START_S
        self._pulse()

    def end(self) -> None:
        """The runtime pulses from now on, or nobody. Twice is as good as once."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _pulse(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() > self._until_s:
            log.critical("the start takes longer than %.0f s; the watchdog ends it", START_S)
            return
        self._beat.pulse(STATES)
        self._next = loop.call_later(PULSE_S, self._pulse)
