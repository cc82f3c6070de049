"""One connection from the dial to the close frame, and what becomes of those who wait for something of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fakes.link import FakeServer, accepted
from fakes.scope import FakeScope

from agent.core.failures import Failure, FailureKind
from agent.core.lifecycle import Evicted, LinkLost
from agent.ports import DialFailed, LinkClosed, LinkStalled, Priority
from agent.runtime.session import NoAnswer, Session

REGISTER = b'{"type":"register","token":"t"}'


def now_s() -> float:
    return asyncio.get_running_loop().time()


class Held:
    """A session while it is held, and the server at its other end."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self.session = Session(self.server)
        self.scope = FakeScope()

    @asynccontextmanager
    async def acquired(self) -> AsyncIterator[None]:
        """Holds it once more, as each state after another outage does."""
        self.scope = FakeScope()
        async with self.scope:
            self.session.acquire(self.scope)
            yield
            await self.session.release()

    @asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        async with self.acquired():
            await self.session.ask(REGISTER)
            self.session.go_live()
            yield


# Asking


async def test_asking() -> None:
    """`ask` dials, sends the message as it is and returns the decoded answer; nothing is live yet."""
    held = Held()
    async with held.acquired():
        assert await held.session.ask(REGISTER) == accepted()
        assert held.server.link.writes == [[REGISTER]]
        assert not held.session.is_live


async def test_asking_in_vain() -> None:
    """A dial that fails is the caller's to judge."""
    held = Held()
    held.server.unreachable = Failure(FailureKind.DNS, "no such host")
    async with held.acquired():
        with pytest.raises(DialFailed, match="no such host"):
            await held.session.ask(REGISTER)


async def test_no_answer() -> None:
    """A server that takes the message and says nothing is given up after fifteen seconds."""
    held = Held()
    held.server.answer = None
    async with held.acquired():
        with pytest.raises(NoAnswer) as failed:
            await held.session.ask(REGISTER)
        assert now_s() == 15.0
        assert failed.value.failure.kind is FailureKind.TIMEOUT


async def test_closed_instead_of_an_answer() -> None:
    """A close frame instead of an answer is told with its code and reason."""
    held = Held()
    held.server.answer = None
    async with held.acquired():
        held.scope.spawn(_after(3, lambda: held.server.link.hang_up(1013, "later")), "server")
        with pytest.raises(NoAnswer, match="overloaded, code 1013: later"):
            await held.session.ask(REGISTER)
        assert now_s() == 3.0


@pytest.mark.parametrize("answer", ["<html>", b"\xff\xfe", "[" * 100_000, ""])
async def test_an_answer_that_is_not_json(answer: str | bytes) -> None:
    """Whatever else answers there is a failed attempt with advice, never a crash."""
    held = Held()
    held.server.answer = answer
    async with held.acquired():
        with pytest.raises(NoAnswer, match="not JSON") as failed:
            await held.session.ask(REGISTER)
        assert "DOCKMON_URL" in failed.value.failure.advice


async def test_asking_again_ends_the_link_before() -> None:
    """A second token is tried over a connection of its own; the first one is closed in good order."""
    held = Held()
    async with held.acquired():
        await held.session.ask(REGISTER)
        await held.session.ask(REGISTER)
        first, second = held.server.links
        assert first.closing == (1000, "")
        assert second.is_open


# Living


async def test_going_live() -> None:
    """From then on what the server says can be taken, and what is put is sent."""
    held = Held()
    async with held.live():
        held.server.link.say({"type": "command"})
        assert json.loads(await held.session.incoming.get()) == {"type": "command"}
        assert await held.session.send(b'{"n":1}', Priority.REPLY) == 1
        assert held.server.link.writes[1:] == [[b'{"n":1}']]
        assert held.session.traffic == (1, 7)
        assert held.session.messages_received == 1


async def test_whoever_waits_for_a_session_is_woken() -> None:
    """`live` returns as soon as there is one, at once if there is."""
    held = Held()
    async with FakeScope() as others, asyncio.timeout(60):
        others.spawn(_after(5, lambda: None), "time passes")
        waiting = others.spawn(held.session.live(), "waiting")
        await asyncio.sleep(1)
        assert not waiting.done()
        async with held.live():
            await waiting
            await held.session.live()
            assert now_s() == 1.0


async def test_no_session_no_sending() -> None:
    """Without a session nothing is queued: it would be forgotten with the next one."""
    held = Held()
    with pytest.raises(LinkClosed):
        held.session.put(b"{}", Priority.REPLY)
    with pytest.raises(LinkClosed):
        await held.session.confirm()
    with pytest.raises(LinkClosed):
        await held.session.confirmed(1)


async def test_a_quiet_day() -> None:
    """A ping every twenty seconds keeps the link alive, and nothing is told."""
    held = Held()
    async with held.live():
        await asyncio.sleep(3599)
        assert held.server.link.pings_s == [20.0 * n for n in range(1, 180)]
        assert held.scope.events == []
        assert held.session.lasted_s == 3599.0


@pytest.mark.parametrize("silent_from_s", [0.1, 19.9, 20.1, 39.9])
async def test_silence_is_noticed(silent_from_s: float) -> None:
    """However the silence falls between two pings, it is noticed within forty seconds, and told as silence."""
    held = Held()
    async with held.live():
        await asyncio.sleep(silent_from_s)
        held.server.link.is_silent = True
        await asyncio.sleep(60)
        ((lost_s, event),) = held.scope.posted
        assert lost_s == (40.0 if silent_from_s < 20 else 60.0)
        assert lost_s - silent_from_s <= 40.0
        assert isinstance(event, LinkLost)
        assert event.failure == Failure(FailureKind.SILENT, "no pong within 20 s")
        assert event.lasted_s == lost_s
        assert held.server.link.is_aborted


async def test_silence_noticed_by_somebody_elses_ping() -> None:
    """Who pings for a confirmation and gets none ends the session, with the true cause."""
    held = Held()
    async with held.live():
        await asyncio.sleep(5)
        held.server.link.is_silent = True
        with pytest.raises(LinkStalled):
            await held.session.confirm()
        assert [at_s for at_s, _ in held.scope.posted] == [25.0]
        assert isinstance(event := held.scope.events[0], LinkLost)
        assert event.failure.kind is FailureKind.SILENT
        assert not held.session.is_live


async def test_a_peer_that_takes_nothing() -> None:
    """A message that is not taken for ten seconds ends the session; the sender is told."""
    held = Held()
    async with held.live():
        held.server.link.is_stalled = True
        with pytest.raises(LinkStalled):
            await held.session.send(b"{}", Priority.REPLY)
        assert held.scope.posted == [
            (10.0, LinkLost(Failure(FailureKind.SILENT, "the server took nothing for 10 s"), 10.0))
        ]


# Ending


async def test_lost() -> None:
    """A broken connection is told once, with how long it had lasted, although reader and writer both fail of it."""
    held = Held()
    async with held.live():
        held.server.link.takes_s = 30.0
        written = held.session.put(b"{}", Priority.REPLY)
        await asyncio.sleep(12)
        held.server.link.cut()
        await asyncio.sleep(30)
        assert isinstance(written.exception(), LinkClosed)
        assert [(at_s, str(event)) for at_s, event in held.scope.posted] == [
            (12.0, "link_lost: lost: the connection broke, code 1006")
        ]


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [
        (1001, "", "link_lost: closed by the server: the server is going away, code 1001"),
        (1000, "bye", "link_lost: closed by the server: the server closed the connection, code 1000: bye"),
        (1000, "New connection established", "evicted"),
        (1012, "New connection established", "link_lost: closed by the server: the server is restarting, "
         "code 1012: New connection established"),
    ],
)  # fmt: skip
async def test_closed_by_the_server(code: int, reason: str, told: str) -> None:
    """Code and reason decide what it was: only 1000 with the server's own words is an eviction."""
    held = Held()
    async with held.live():
        held.server.link.hang_up(code, reason)
        await asyncio.sleep(1)
        assert [str(event) for event in held.scope.events] == [told]


async def test_evicted() -> None:
    """An eviction says how long the session had lasted."""
    held = Held()
    async with held.live():
        await asyncio.sleep(7)
        held.server.link.hang_up(1000, "New connection established")
        await asyncio.sleep(1)
        assert held.scope.posted == [(7.0, Evicted(7.0))]


async def test_closed_by_us() -> None:
    """A connection that we close of ourselves, for a message too large, is no doing of the server's."""
    held = Held()
    async with held.live():
        await held.server.link.close(1009, "message too big", deadline_s=1)
        await asyncio.sleep(1)
        assert isinstance(event := held.scope.events[0], LinkLost)
        assert event.failure.kind is FailureKind.PROTOCOL
        assert "we closed the connection, code 1009: message too big" in event.failure.text


async def test_a_release() -> None:
    """A session that is given up ends with close frame 1000, tells nothing, and fails what waits."""
    held = Held()
    async with held.live():
        held.server.link.takes_s = 30.0
        written = held.session.put(b"{}", Priority.REPLY)
        await asyncio.sleep(1)
    assert held.server.link.closing == (1000, "")
    assert isinstance(written.exception(), LinkClosed)
    assert held.scope.events == []
    assert not held.session.is_live


async def test_a_release_that_the_server_ignores() -> None:
    """A close frame that is not answered holds nobody up for longer than a second and a half."""
    held = Held()
    async with held.live():
        held.server.link.ignores_close = True
    assert now_s() == 1.5
    assert held.server.link.is_aborted


async def test_an_abort() -> None:
    """An abort ends the connection without a word."""
    held = Held()
    async with held.live():
        held.session.abort()
        assert held.server.link.is_aborted
        assert held.server.link.closing is None


async def test_a_release_without_a_link() -> None:
    """A session that was never dialled has nothing to close."""
    held = Held()
    async with held.acquired():
        pass
    assert held.server.links == []


# Confirmations


async def test_a_confirmation() -> None:
    """A pong confirms what was written before its ping, and only that."""
    held = Held()
    async with held.live(), FakeScope() as others:
        first = await held.session.send(b"{}", Priority.REPLY)
        held.server.link.pong_after_s = 2.0
        ping = others.spawn(held.session.confirm(), "ping")
        await asyncio.sleep(1)
        second = await held.session.send(b"{}", Priority.REPLY)
        waiting = others.spawn(held.session.confirmed(second), "waiting")
        await ping
        await held.session.confirmed(first)
        assert now_s() == 2.0
        await waiting
        assert now_s() == 22.0  # the next ping is the watch's


async def test_what_is_confirmed_is_confirmed_at_once() -> None:
    """A mark at or below the highest confirmed one waits for nothing."""
    held = Held()
    async with held.live():
        mark = await held.session.send(b"{}", Priority.REPLY)
        await held.session.confirm()
        await held.session.confirmed(mark)
        assert now_s() == 0.0


async def test_a_confirmation_that_never_comes() -> None:
    """When the link goes, whoever waits for a confirmation is told that it may not have arrived."""
    held = Held()
    async with held.live():
        mark = await held.session.send(b"{}", Priority.REPLY)
        held.scope.spawn(_after(3, held.server.link.cut), "server")
        with pytest.raises(LinkClosed):
            await held.session.confirmed(mark)
        assert now_s() == 3.0
        with pytest.raises(LinkClosed):
            await held.session.confirmed(mark)


async def test_another_session_confirms_nothing_of_the_one_before() -> None:
    """Marks begin anew with each session: a pong over the second proves nothing about the first."""
    held = Held()
    async with held.live():
        for _ in range(3):
            await held.session.send(b"{}", Priority.REPLY)
        await held.session.confirm()
    async with held.live(), FakeScope() as others:
        waiting = others.spawn(held.session.confirmed(1), "waiting")
        await asyncio.sleep(1)
        await held.session.confirm()
        await asyncio.sleep(1)
        assert not waiting.done()
        assert await held.session.send(b"{}", Priority.REPLY) == 1
        await held.session.confirm()
        await waiting


async def test_a_pong_of_the_session_before() -> None:
    """A ping that is under way when its session ends confirms nothing, though its pong may come."""
    held = Held()
    async with held.live():
        await held.session.send(b"{}", Priority.REPLY)
        held.server.link.pong_after_s = 5.0
        held.server.link.pong_outlives_link = True
        held.scope.spawn(_after(1, held.session.abort), "an abort")
        with pytest.raises(LinkClosed):
            await held.session.confirm()
        assert now_s() == 5.0


async def test_what_a_link_left_unread_is_not_the_next_ones() -> None:
    """Messages of an earlier session are gone with it: nobody could answer them there."""
    held = Held()
    async with held.live():
        held.server.link.say({"old": True})
        await asyncio.sleep(1)
    async with held.live():
        held.server.link.say({"new": True})
        assert json.loads(await held.session.incoming.get()) == {"new": True}


async def _after(delay_s: float, do: object) -> None:
    await asyncio.sleep(delay_s)
    assert callable(do)
    do()
