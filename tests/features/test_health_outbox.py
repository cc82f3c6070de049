"""Results that wait for a session."""

from __future__ import annotations

from fakes.channel import FakeChannel

from agent.core.replies import encode
from agent.features.health_outbox import HealthOutbox


async def test_what_waits_longest_makes_room() -> None:
    """A server that is away for long, while containers come and go, fills no memory."""
    channel = FakeChannel()
    outbox = HealthOutbox(channel, max_containers=2)
    channel.is_live = False
    for container in ("a", "b", "a", "c"):
        await outbox.send(container, encode({"of": container}))
    channel.is_live = True
    await outbox.send_kept()
    await outbox.send_kept()
    assert channel.messages == [{"of": "a"}, {"of": "c"}]
