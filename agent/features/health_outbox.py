"""The newest result of each container that is still to be sent: it outlives the session in which it could not be."""

from __future__ import annotations

from agent.ports import Channel, ChannelFull, LinkClosed, Priority


class HealthOutbox:
    """Sends results, and keeps what was not taken for the next session.

    Args:
        max_containers: Beyond it, the result that has waited longest is dropped.
    """

    def __init__(self, channel: Channel, *, max_containers: int) -> None:
        self._channel, self._max_containers = channel, max_containers
        self._unsent: dict[str, bytes] = {}  # by container, oldest first

    async def send(self, container: str, message: bytes) -> None:
        """Sends a result instead of those of `container` that were not sent. It is kept until the transport has it."""
        self._unsent.pop(container, None)
        self._unsent[container] = message
        if len(self._unsent) > self._max_containers:
            del self._unsent[next(iter(self._unsent))]
        await self._send(container, message)

    async def send_kept(self) -> None:
        for container, message in list(self._unsent.items()):
            if self._unsent.get(container) is message:
                await self._send(container, message)

    def forget(self, container: str) -> None:
        self._unsent.pop(container, None)

    async def _send(self, container: str, message: bytes) -> None:
        try:
            await self._channel.send(message, Priority.EVENT)
        except (LinkClosed, ChannelFull):
            return
        if self._unsent.get(container) is message:
            del self._unsent[container]
