"""What the host as a whole uses, for the server to show instead of the sum of its containers."""

from __future__ import annotations

import asyncio
import logging

from agent.core.host_stats import host_stats
from agent.core.replies import encode
from agent.ports import Channel, ChannelFull, HostMeter, LinkClosed, Priority

TICK_S = 2.0
"""The server shows what it was told for ten seconds, then adds up the containers."""

log = logging.getLogger("agent.telemetry")


class HostFigures:
    """Sends them while the meter can tell."""

    def __init__(self, channel: Channel, meter: HostMeter) -> None:
        self._channel, self._meter = channel, meter

    async def send(self) -> None:
        """Sends until the session ends, or returns at once where the host cannot be seen."""
        loop = asyncio.get_running_loop()
        before, before_s = self._meter.read(), loop.time()
        if before is None:
            log.info(
                "the host's own figures cannot be read here; the server adds up its containers"
            )
            return
        while True:
            await asyncio.sleep(TICK_S)
            now, now_s = self._meter.read(), loop.time()
            if now is None:
                continue
            figures = host_stats(before, now, now_s - before_s)
            before, before_s = now, now_s
            try:
                # Waits while the link takes nothing, so that what follows is new.
                message = encode({"type": "stats", "stats": figures})
                await self._channel.send(message, Priority.SAMPLE)
            except LinkClosed:
                return
            except ChannelFull:
                pass
