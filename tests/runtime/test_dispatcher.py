"""Each request is carried out once and answered once, whatever happens to the link, the disk or the agent meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fakes.link import FakeLink, FakeServer
from fakes.scope import FakeScope
from fakes.store import MemoryStore
from pydantic import BaseModel

from agent.clock import utcnow
from agent.core.ledger import Entry, Repeat
from agent.core.replies import MAX_MESSAGE_BYTES
from agent.ports import (
    CommandFailed,
    EngineTimeout,
    EngineUnreachable,
    Handler,
    Json,
    Priority,
    StoreError,
)
from agent.runtime.answers import UNCONFIRMED_BYTES
from agent.runtime.dispatcher import MAX_RUNNING, Dispatcher
from agent.runtime.once import NOT_DONE, UNKNOWN_OUTCOME
from agent.runtime.session import Session
from agent.runtime.uplink import MAX_BYTES

FULL = StoreError("/data cannot be used: no space left on device; free space")


def now_s() -> float:
    return asyncio.get_running_loop().time()


class Target(BaseModel):
    container_id: str = "c1"
    takes_s: float = 0.0


class Work:
    """What handlers did: `done` names each run with its instant. `then` is what comes of it."""

    def __init__(self) -> None:
        self.done: list[tuple[float, str]] = []
        self.then: Callable[[], Awaitable[Any]] = _nothing
        self.found: Callable[[Entry], Awaitable[Json | None]] = _not_found

    async def run(self, payload: Target, request_id: str) -> Any:
        await asyncio.sleep(payload.takes_s)
        self.done.append((round(now_s(), 3), request_id))
        return await self.then() or {"did": request_id}

    async def probe(self, entry: Entry) -> Json | None:
        return await self.found(entry)

    def handler(self, name: str, repeat: Repeat | None = None) -> Handler[Target]:
        return Handler(
            name=name,
            payload=Target,
            run=self.run,
            server_waits_s=lambda _: 30.0,
            repeat=repeat,
            lane=lambda payload: payload.container_id,
            probe=self.probe if repeat is Repeat.PROBE else None,
        )


async def _nothing() -> None:
    return None


async def _not_found(_: Entry) -> None:
    return None


class Desk:
    """A dispatcher between a server and handlers: `list` reads, `create` and `stop` change, `burn` is never redone."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.server = FakeServer()
        self.session = Session(self.server)
        self.work = Work()
        self.jobs = FakeScope()
        self.heard: list[Mapping[str, Any]] = []
        self.dispatcher = self.new_dispatcher()

    def new_dispatcher(self, **listeners: Callable[[Mapping[str, Any]], None]) -> Dispatcher:
        return Dispatcher(
            self.session,
            self.store,
            commands=[
                self.work.handler("list"),
                self.work.handler("list_containers"),
                self.work.handler("create", Repeat.PROBE),
                self.work.handler("burn", Repeat.NEVER),
            ],
            operations=[
                self.work.handler("inspect"),
                self.work.handler("stop", Repeat.PROBE),
                self.work.handler("kill", Repeat.REDO),
            ],
            listeners={"shell_session": self.heard.append} | listeners,
            detach=lambda work, name: self.jobs.detach(work, name),
            clock=utcnow,
        )

    @property
    def link(self) -> FakeLink:
        return self.server.link

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FakeLink]:
        """The agent, from its start to its end: jobs may run, and the first session is there."""
        self.jobs = FakeScope()
        async with self.jobs, self.connected() as link:
            yield link

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[FakeLink]:
        """One session, released as the runtime does it: the commands first, then the link."""
        async with FakeScope() as session_scope, FakeScope() as commands_scope:
            self.session.acquire(session_scope)
            await self.session.ask(b'{"type":"register"}')
            self.session.go_live()
            self.dispatcher.acquire(commands_scope)
            yield self.link
            await self.dispatcher.release()
            commands_scope.end()
            await self.session.release()

    def command(self, name: str, id: str = "r1", **payload: Any) -> None:  # noqa: A002  as on the wire
        self.link.say({"type": "command", "id": id, "command": name, "payload": payload})

    def operation(self, action: str, id: str = "r1", **payload: Any) -> None:  # noqa: A002  as on the wire
        payload["action"] = action
        self.link.say({"type": "container_operation", "id": id, "payload": payload})


def success(reply: Json) -> Any:
    assert "error" not in reply
    return reply["payload"]


# One reply to each request


async def test_a_command_is_answered_in_an_envelope() -> None:
    """The reply has the request's id, the handler's result as its payload, and an instant."""
    desk = Desk()
    async with desk.open() as link:
        desk.command("list")
        assert await link.reply("r1") == {
            "type": "response",
            "id": "r1",
            "payload": {"did": "r1"},
            "timestamp": "2026-01-01T00:00:00.000000Z",
        }


async def test_a_container_action_is_answered_flat() -> None:
    """Its reply has no envelope: the correlation id, success, and the handler's mapping."""
    desk = Desk()
    async with desk.open() as link:
        desk.operation("inspect")
        assert await link.reply("r1") == {"correlation_id": "r1", "success": True, "did": "r1"}


async def _large() -> Json:
    return {"text": "x" * (UNCONFIRMED_BYTES * 2 // 5)}


async def _fails() -> None:
    raise CommandFailed("the image is in use by web-1")


async def _times_out() -> None:
    raise EngineTimeout("The engine did not answer within 10 s")


async def _is_defective() -> None:
    raise KeyError("State")


async def _raises_a_timeout() -> None:
    raise TimeoutError


async def _awaits_something_cancelled() -> None:
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gone.cancel()
    await gone


async def _says_a_set() -> Any:
    return {"tags": {"a", "b"}}


async def _says_nan() -> Any:
    return {"cpu": float("nan")}


async def _says_too_much() -> Any:
    return {"logs": "x" * MAX_MESSAGE_BYTES}


OUTCOMES = [
    pytest.param(_fails, "the image is in use by web-1", id="failed"),
    pytest.param(_times_out, "The engine did not answer within 10 s", id="engine"),
    pytest.param(_is_defective, "failed in the agent: KeyError", id="defect"),
    pytest.param(_raises_a_timeout, "failed in the agent: TimeoutError", id="timeout-error"),
    pytest.param(
        _awaits_something_cancelled, "failed in the agent: CancelledError", id="cancelled"
    ),
    pytest.param(_says_a_set, "cannot be encoded: Object of type set", id="no-json"),
    pytest.param(_says_nan, "cannot be encoded: Out of range float", id="nan"),
    pytest.param(_says_too_much, "bytes, the server takes 16777216", id="too-large"),
]


@pytest.mark.parametrize("name", ["list", "create"])
@pytest.mark.parametrize(("then", "error"), OUTCOMES)
async def test_whatever_comes_of_a_command(
    name: str, then: Callable[[], Awaitable[Any]], error: str
) -> None:
    """A command that reads or changes gets exactly one reply, whatever its handler does: here an error."""
    desk = Desk()
    desk.work.then = then
    async with desk.open() as link:
        desk.command(name)
        reply = await link.reply("r1")
        assert error in reply["error"]
        assert "payload" not in reply
        await asyncio.sleep(60)
        assert len(link.replies("r1")) == 1


@pytest.mark.parametrize("action", ["inspect", "stop"])
@pytest.mark.parametrize(("then", "error"), OUTCOMES)
async def test_whatever_comes_of_an_action(
    action: str, then: Callable[[], Awaitable[Any]], error: str
) -> None:
    """The same for container actions, in their flat form."""
    desk = Desk()
    desk.work.then = then
    async with desk.open() as link:
        desk.operation(action)
        reply = await link.reply("r1")
        assert reply["success"] is False
        assert error in reply["error"]
        await asyncio.sleep(60)
        assert len(link.replies("r1")) == 1


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"type": "command", "id": "r1", "command": "fly"}, "unknown command: fly"),
        ({"type": "container_operation", "id": "r1", "payload": {"action": "fly"}}, "unknown action: fly"),
        ({"type": "command", "id": "r1"}, "malformed request: command.command: Field required"),
        ({"type": "container_operation", "id": "r1", "payload": {}}, "malformed request"),
        ({"type": "command", "id": "r1", "command": "list", "payload": {"takes_s": "long"}},
         "malformed payload: takes_s: Input should be a valid number"),
    ],
)  # fmt: skip
async def test_what_is_asked_wrongly_is_answered(message: Json, error: str) -> None:
    """What is unknown or malformed and has an id gets an error that says what is wrong, in the form it was asked."""
    desk = Desk()
    async with desk.open() as link:
        link.say(message)
        reply = await link.reply("r1")
        assert error.removeprefix("malformed request: command.") in reply["error"]
        assert ("correlation_id" in reply) is (message["type"] == "container_operation")
        assert desk.work.done == []


@pytest.mark.parametrize(
    "frame",
    [
        "{",
        "[]",
        b"\x00\x01",
        '{"type":"command","command":"list"}',
        '{"type":"command","id":7,"command":"list"}',
        '{"type":"of_a_newer_server","id":"r1"}',
        '{"type":"health_check_config","payload":{}}',
    ],
)
async def test_what_cannot_be_answered_is_passed_over(frame: str | bytes) -> None:
    """Without an id, or of a type nobody knows, there is no reply; the next request is served as ever."""
    desk = Desk()
    async with desk.open() as link:
        link.say(frame)
        desk.command("list", "r2")
        await link.reply("r2")
        assert len(link.messages) == 2  # the register, and the reply


async def test_what_has_no_reply_goes_to_its_listener() -> None:
    """Terminal traffic is handed on in order and never answered."""
    desk = Desk()
    async with desk.open() as link:
        for number in range(3):
            link.say({"type": "shell_session", "payload": {"n": number}})
        desk.command("list")
        await link.reply("r1")
        assert desk.heard == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert len(link.messages) == 2


async def test_a_listener_that_fails() -> None:
    """It loses its message and nothing else. The connection used to be dropped, and after it the next, for ever."""
    desk = Desk()

    def fail(_: Mapping[str, Any]) -> None:
        raise KeyError("url")

    desk.dispatcher = desk.new_dispatcher(health_check_config=fail)
    async with desk.open() as link:
        link.say({"type": "health_check_config", "payload": {}})
        desk.command("list")
        assert success(await link.reply("r1")) == {"did": "r1"}


async def test_a_handler_with_a_defective_lane(caplog: pytest.LogCaptureFixture) -> None:
    """What fails around a handler is answered as a failure in it is. There used to be no reply at all."""
    desk = Desk()

    def no_lane(_: Target) -> str:
        raise AttributeError("container")

    broken = Handler("break", Target, desk.work.run, lambda _: 30.0, Repeat.NEVER, lane=no_lane)
    desk.dispatcher = Dispatcher(
        desk.session,
        desk.store,
        commands=[broken],
        operations=[],
        listeners={},
        detach=desk.jobs.detach,
        clock=utcnow,
    )
    async with desk.jobs, desk.connected() as link:
        desk.command("break")
        reply = await link.reply("r1")
        assert reply["error"] == "break failed in the agent: AttributeError"


async def test_a_timeout() -> None:
    """A request is given up two seconds before the server does, so that its reply still arrives."""
    desk = Desk()
    async with desk.open() as link:
        desk.command("list", takes_s=100)
        reply = await link.reply("r1")
        assert now_s() == 28.0
        assert reply["error"] == "list took longer than 30 s"


async def test_a_change_that_times_out_is_in_the_ledger() -> None:
    """Its end is recorded, so that neither a repetition nor the next process answers it another way."""
    desk = Desk()
    async with desk.open() as link:
        desk.command("create", takes_s=100)
        await link.reply("r1")
        outcome = desk.store.ledger["r1"].outcome
        assert outcome == {"error": "create took longer than 30 s"}
        (left,) = await desk.store.restarted().unanswered()
        assert left.outcome == outcome


async def test_too_many_at_once() -> None:
    """Beyond 128 requests under way the next is refused, and when one has ended the next is taken."""
    desk = Desk()
    async with desk.open() as link:
        for number in range(MAX_RUNNING):
            desk.command("list", f"r{number}", takes_s=10)
        desk.command("list", "one more")
        reply = await link.reply("one more")
        assert reply["error"] == "128 requests are running already; try again later"
        assert now_s() == 0.0
        await asyncio.sleep(11)
        desk.command("list", "later")
        assert success(await link.reply("later")) == {"did": "later"}
        assert len(link.messages) == 1 + MAX_RUNNING + 2


async def test_a_full_uplink() -> None:
    """When the link cannot take the reply, the server is told so as soon as there is room."""
    desk = Desk()
    async with desk.open() as link:
        link.takes_s = 5.0
        largest = b'{"x":"%s"}' % (b"x" * (MAX_BYTES - 8))
        desk.session.put(largest, Priority.REPLY)
        await asyncio.sleep(1)  # it is being written
        desk.session.put(largest, Priority.REPLY)
        desk.command("list")
        reply = await link.reply("r1")
        assert reply["error"].startswith("not sent: 67108864 bytes are waiting")
        assert len(link.replies("r1")) == 1


# Order


async def test_changes_of_one_container_in_order() -> None:
    """Requests that change the same container are carried out one after the other, as they came."""
    desk = Desk()
    async with desk.open() as link:
        for id_, takes_s in (("a", 3), ("b", 2), ("c", 1)):
            desk.operation("stop", id_, takes_s=takes_s)
        await link.until(lambda: len(link.messages) == 4)
        assert desk.work.done == [(3.0, "a"), (5.0, "b"), (6.0, "c")]


async def test_changes_of_other_containers_at_once() -> None:
    """Another container is another lane."""
    desk = Desk()
    async with desk.open() as link:
        desk.operation("stop", "a", takes_s=3, container_id="c1")
        desk.operation("stop", "b", takes_s=1, container_id="c2")
        await link.until(lambda: len(link.messages) == 3)
        assert desk.work.done == [(1.0, "b"), (3.0, "a")]


async def test_reads_wait_for_no_change() -> None:
    """What only looks is carried out at once, also for a container that is being changed."""
    desk = Desk()
    async with desk.open() as link:
        desk.operation("stop", "a", takes_s=5)
        desk.operation("inspect", "b")
        await link.reply("b")
        assert now_s() == 0.0


async def test_a_change_that_waits_too_long_for_its_turn() -> None:
    """Time in the queue counts: it is given up in time, and was not begun."""
    desk = Desk()
    async with desk.open() as link:
        desk.operation("stop", "a", takes_s=20)
        desk.operation("stop", "b", takes_s=20)
        desk.operation("stop", "c")
        reply = await link.reply("c")
        assert now_s() == 28.0
        assert reply["error"] == "stop took longer than 30 s"
        assert "c" not in desk.store.ledger
        assert desk.work.done == [(20.0, "a")]


# Links that break


async def test_a_link_lost_while_a_request_runs() -> None:
    """The work goes on, and the reply leaves over the next session."""
    desk = Desk()
    async with desk.jobs:
        async with desk.connected():
            desk.command("list", takes_s=10)
            await asyncio.sleep(1)
            desk.link.cut()
            await asyncio.sleep(1)
        await asyncio.sleep(3)
        async with desk.connected() as link:
            assert success(await link.reply("r1")) == {"did": "r1"}
            assert now_s() == 10.0
    assert desk.work.done == [(10.0, "r1")]


async def test_a_link_lost_while_a_reply_is_written() -> None:
    """A reply that was in the writer's hands goes out again over the next session. It used to be lost."""
    desk = Desk()
    async with desk.jobs:
        async with desk.connected() as first:
            first.takes_s = 5.0
            desk.command("list")
            await asyncio.sleep(1)
            first.cut()
            await asyncio.sleep(1)
        async with desk.connected() as second:
            assert success(await second.reply("r1")) == {"did": "r1"}
    assert first.replies("r1") == []
    assert desk.work.done == [(0.0, "r1")]


async def test_the_reply_to_a_change_is_sent_until_it_is_confirmed() -> None:
    """Written is not arrived: without a pong after it, the reply to a change goes out again."""
    desk = Desk()
    async with desk.jobs:
        async with desk.connected() as first:
            desk.operation("stop")
            await first.reply("r1")
            await asyncio.sleep(5)
            first.cut()
            await asyncio.sleep(1)
        async with desk.connected() as second:
            assert (await second.reply("r1"))["success"] is True
            await desk.session.confirm()
            second.cut()
            await asyncio.sleep(1)
        async with desk.connected() as third:
            await asyncio.sleep(5)
    assert [len(link.replies("r1")) for link in (first, second, third)] == [1, 1, 0]
    assert desk.work.done == [(0.0, "r1")]


async def test_the_reply_to_a_read_is_sent_until_it_is_confirmed() -> None:
    """It goes out again as well, as long as somebody waits. It used to be lost, and to be waited for to the last."""
    desk = Desk()
    async with desk.jobs:
        async with desk.connected() as first:
            desk.command("list")
            await first.reply("r1")
            first.cut()
            await asyncio.sleep(1)
        async with desk.connected() as second:
            await second.reply("r1")
            await desk.session.confirm()
            second.cut()
            await asyncio.sleep(1)
        async with desk.connected() as third:
            await asyncio.sleep(5)
    assert [len(link.replies("r1")) for link in (first, second, third)] == [1, 1, 0]
    assert desk.work.done == [(0.0, "r1")]


async def test_replies_to_reads_that_are_too_large_to_be_kept() -> None:
    """What is kept is bounded: beyond that, whoever reads has to ask again; whoever changes something has not."""
    desk = Desk()
    desk.work.then = _large
    async with desk.jobs:
        async with desk.connected() as first:
            for number in range(3):
                desk.command("list", f"read{number}")
                await first.reply(f"read{number}")
            desk.work.then = _nothing
            desk.operation("stop", "change")
            await first.reply("change")
            first.cut()
            await asyncio.sleep(1)
        async with desk.connected() as second:
            await asyncio.sleep(5)
    again = [message.get("id") or message["correlation_id"] for message in second.messages[1:]]
    assert sorted(again) == ["change", "read0", "read1"]


async def test_a_reply_that_nobody_waits_for_any_more(caplog: pytest.LogCaptureFixture) -> None:
    """When the next session comes after the server gave up, the reply is dropped, with a line in the log."""
    desk = Desk()
    async with desk.jobs:
        async with desk.connected() as first:
            desk.operation("stop", takes_s=2)
            await asyncio.sleep(1)
            first.cut()
            await asyncio.sleep(1)
        await asyncio.sleep(60)
        async with desk.connected() as second:
            await asyncio.sleep(60)
    assert second.replies("r1") == []
    assert "the reply to stop came too late to be sent" in caplog.messages
    assert desk.store.ledger["r1"].outcome == {"payload": {"did": "r1"}}


# The ledger


async def test_the_same_request_again() -> None:
    """The same id with the same payload gets the recorded outcome; nothing is done twice."""
    desk = Desk()
    async with desk.open() as link:
        for _ in range(2):
            desk.operation("stop", container_id="c1")
            await asyncio.sleep(1)
        assert link.replies("r1") == [{"correlation_id": "r1", "success": True, "did": "r1"}] * 2
        assert desk.work.done == [(0.0, "r1")]


async def test_a_recorded_error_again() -> None:
    """An error is an outcome too."""
    desk = Desk()
    desk.work.then = _fails
    async with desk.open() as link:
        for _ in range(2):
            desk.command("create")
            await asyncio.sleep(1)
        assert [reply["error"] for reply in link.replies("r1")] == [
            "the image is in use by web-1"
        ] * 2
        assert len(desk.work.done) == 1


async def test_the_same_id_for_something_else() -> None:
    """A reused id is an error, running or not: nobody could tell the two replies apart."""
    desk = Desk()
    async with desk.open() as link:
        desk.command("create", container_id="c1", takes_s=1)
        desk.command("create", container_id="c2", takes_s=1)
        await asyncio.sleep(2)
        desk.command("create", container_id="c3", takes_s=1)
        await asyncio.sleep(2)
        reused = "this request id was used for another request"
        assert [reply.get("error") for reply in link.replies("r1")] == [reused, None, reused]
        assert len(desk.work.done) == 1


async def test_joining_a_request_that_runs() -> None:
    """The same request again while it runs waits for the same outcome, and both are answered."""
    desk = Desk()
    async with desk.open() as link:
        desk.command("create", takes_s=5)
        await asyncio.sleep(1)
        desk.command("create", takes_s=5)
        await asyncio.sleep(10)
        assert [success(reply) for reply in link.replies("r1")] == [{"did": "r1"}] * 2
        assert desk.work.done == [(5.0, "r1")]


async def test_joining_a_request_that_times_out() -> None:
    """Who joined is answered when the first one is given up. It used to get no reply."""
    desk = Desk()
    async with desk.open() as link:
        desk.command("create", takes_s=100)
        await asyncio.sleep(1)
        desk.command("create", takes_s=100)
        await link.until(lambda: len(link.replies("r1")) == 2)
        assert now_s() == 28.0
        assert sorted(reply["error"] for reply in link.replies("r1")) == [
            "create took longer than 30 s",
            "the same request, sent before, was cut short; its outcome is unknown",
        ]


async def test_reads_are_carried_out_again() -> None:
    """What changes nothing does not stand in the ledger."""
    desk = Desk()
    async with desk.open() as link:
        for _ in range(2):
            desk.command("list")
            await asyncio.sleep(1)
        assert len(link.replies("r1")) == 2
        assert len(desk.work.done) == 2
        assert desk.store.ledger == {}


async def test_nothing_secret_in_the_ledger() -> None:
    """An entry has a hash of the payload and what a probe needs, not the payload."""
    desk = Desk()
    async with desk.open() as link:
        desk.command("create", container_id="c9", password="hunter2-hunter2")
        await link.reply("r1")
        entry = desk.store.ledger["r1"]
        assert (entry.action, entry.subject, entry.repeat) == ("create", "c9", Repeat.PROBE)
        assert "hunter2" not in repr(entry)


async def test_without_a_ledger(caplog: pytest.LogCaptureFixture) -> None:
    """When the disk is full a change is carried out all the same, with a warning: it may be what frees the disk."""
    desk = Desk()
    desk.store.broken = FULL
    async with desk.open() as link:
        desk.operation("stop")
        assert (await link.reply("r1"))["success"] is True
    assert any("stop is carried out without a record" in line for line in caplog.messages)


async def test_an_outcome_that_is_not_recorded(caplog: pytest.LogCaptureFixture) -> None:
    """A disk that fills up while a change runs costs the record, not the reply."""
    desk = Desk()

    async def fill_the_disk() -> None:
        desk.store.broken = FULL

    desk.work.then = fill_the_disk
    async with desk.open() as link:
        desk.operation("stop")
        assert (await link.reply("r1"))["success"] is True
    assert any("the outcome of stop is not recorded" in line for line in caplog.messages)


async def test_a_disk_that_hangs() -> None:
    """A record that takes longer than a second is not waited for."""
    desk = Desk()

    class Slow(MemoryStore):
        async def finish(self, command_id: str, outcome: Json) -> None:
            await asyncio.sleep(3600)

    desk.store = Slow()
    desk.dispatcher = desk.new_dispatcher()
    async with desk.open() as link:
        desk.operation("stop")
        assert (await link.reply("r1"))["success"] is True
        assert now_s() == 1.0


async def test_an_outcome_too_large_for_the_ledger() -> None:
    """That it was done is recorded; the reply has all of it. There used to be no reply."""
    desk = Desk()

    async def tell_much() -> Any:
        return {"warnings": ["x" * 5000]}

    desk.work.then = tell_much
    async with desk.open() as link:
        desk.operation("stop")
        assert len((await link.reply("r1"))["warnings"][0]) == 5000
        assert desk.store.ledger["r1"].outcome == {"payload": {}}


# What a process before left undone


async def _interrupted(name: str = "create") -> MemoryStore:
    """The store of an agent that died while carrying out `name`."""
    desk = Desk()
    desk.work.then = asyncio.get_running_loop().create_future
    async with desk.open():
        say = desk.operation if name in ("stop", "kill") else desk.command
        say(name)
        await asyncio.sleep(1)
        return desk.store.restarted()


@pytest.mark.parametrize(
    ("name", "found", "told"),
    [
        ("create", {"container_id": "new"}, {"container_id": "new"}),
        ("create", None, NOT_DONE),
        ("burn", None, UNKNOWN_OUTCOME),
    ],
)
async def test_leftovers(name: str, found: Json | None, told: Any) -> None:
    """A change that a dead process had begun is looked for, answered and recorded at the first connect."""
    desk = Desk(await _interrupted(name))

    async def look(_: Entry) -> Json | None:
        return found

    desk.work.found = look
    async with desk.open() as link:
        reply = await link.reply("r1")
        assert reply.get("payload", reply.get("error")) == told
        assert desk.store.ledger["r1"].outcome in ({"payload": told}, {"error": told})
        assert desk.work.done == []


async def test_leftovers_are_answered_flat_if_they_were_asked_so() -> None:
    """The form of the reply follows from what was asked, also after a restart."""
    desk = Desk(await _interrupted("stop"))
    async with desk.open() as link:
        assert await link.reply("r1") == {
            "correlation_id": "r1",
            "success": False,
            "error": NOT_DONE,
        }


async def test_leftovers_are_answered_once() -> None:
    """Not at each session, and not by the process after."""
    desk = Desk(await _interrupted())
    async with desk.jobs:
        async with desk.connected() as first:
            await first.reply("r1")
            await desk.session.confirm()
        async with desk.connected() as second:
            await asyncio.sleep(5)
    assert second.replies("r1") == []
    after = Desk(desk.store.restarted())
    async with after.open() as third:
        await asyncio.sleep(5)
        assert third.replies("r1") == []


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_reply_that_a_dead_process_still_owed(arrived: bool) -> None:
    """What it had done is told by the next one, unless that is known to have arrived."""
    dead = Desk()
    async with dead.open() as link:
        dead.command("create")
        await link.reply("r1")
        if arrived:
            await dead.session.confirm()
            await asyncio.sleep(0)
        store = dead.store.restarted()
    desk = Desk(store)
    async with desk.open() as link:
        await asyncio.sleep(5)
        assert [success(reply) for reply in link.replies("r1")] == [{"did": "r1"}] * (not arrived)
        assert desk.work.done == []


async def test_a_leftover_that_cannot_be_looked_for() -> None:
    """If the engine does not answer the outcome is unknown, and the reply says why."""
    desk = Desk(await _interrupted())

    async def fail(_: Entry) -> None:
        raise EngineUnreachable("The engine is not reachable")

    desk.work.found = fail
    async with desk.open() as link:
        reply = await link.reply("r1")
        assert reply["error"] == f"{UNKNOWN_OUTCOME} (The engine is not reachable)"


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_probe_that_fails_of_a_defect(hangs: bool) -> None:
    """One that raises or hangs is answered as unknown, and those behind it have their turn."""
    store = await _interrupted()
    await store.begin(Entry("r2", "burn", "", "0", Repeat.NEVER, "2026-01-01T00:00:00Z"))
    desk = Desk(store.restarted())

    async def fail(_: Entry) -> None:
        await asyncio.sleep(3600 if hangs else 0)
        raise KeyError("Config")

    desk.work.found = fail
    began_s = now_s()
    async with desk.open() as link:
        assert (await link.reply("r1"))["error"] == UNKNOWN_OUTCOME
        assert (await link.reply("r2"))["error"] == UNKNOWN_OUTCOME
        assert now_s() - began_s == (30.0 if hangs else 0.0)


async def test_leftovers_that_cannot_be_read() -> None:
    """If the store fails at the first connect, the next one tries again."""
    desk = Desk(await _interrupted())
    async with desk.jobs:
        desk.store.broken = FULL
        async with desk.connected() as first:
            await asyncio.sleep(1)
        desk.store.broken = None
        async with desk.connected() as second:
            assert (await second.reply("r1"))["error"] == NOT_DONE
    assert first.replies("r1") == []


async def test_a_leftover_that_the_server_asks_for_again() -> None:
    """Asked for again while it is looked for, it is answered twice with the same, and not carried out."""
    desk = Desk(await _interrupted())

    async def look(_: Entry) -> None:
        await asyncio.sleep(10)

    desk.work.found = look
    async with desk.open() as link:
        desk.command("create")
        await link.until(lambda: len(link.replies("r1")) == 2)
        assert [reply["error"] for reply in link.replies("r1")] == [NOT_DONE] * 2
        assert desk.work.done == []


async def test_a_leftover_that_can_be_done_again() -> None:
    """One that nobody could answer is, asked for again, carried out if that does no harm."""
    desk = Desk(await _interrupted("kill"))
    desk.store.broken = FULL
    async with desk.open() as link:
        await asyncio.sleep(1)
        desk.store.broken = None
        desk.operation("kill")
        assert (await link.reply("r1"))["success"] is True
        assert len(desk.work.done) == 1


# The end


async def test_the_drain() -> None:
    """At a stop what runs gets a second to finish, and its reply leaves before the close frame."""
    desk = Desk()
    async with desk.open() as link:
        desk.command("list", takes_s=0.5)
        await asyncio.sleep(0.1)
    assert success(link.replies("r1")[0]) == {"did": "r1"}
    assert link.closing == (1000, "")
    assert now_s() == 0.5


async def test_a_reply_on_a_slow_link_belongs_to_the_drain() -> None:
    """A request has not finished before its reply is written. The link used to be closed in front of it."""
    desk = Desk()
    async with desk.open() as link:
        desk.command("list", takes_s=0.3)
        await asyncio.sleep(0.1)
        link.takes_s = 0.4
    assert success(link.replies("r1")[0]) == {"did": "r1"}
    assert now_s() == 0.7


async def test_a_drain_is_bounded() -> None:
    """What does not finish within a second is left to the ledger."""
    desk = Desk()
    async with desk.open():
        desk.operation("stop", takes_s=20)
        await asyncio.sleep(1)
    assert now_s() == 2.0
    assert [entry.command_id for entry in await desk.store.restarted().unanswered()] == ["r1"]


async def test_no_drain_without_a_link() -> None:
    """When the link has gone nothing is waited for: the requests go on by themselves."""
    desk = Desk()
    async with desk.jobs:
        async with desk.connected() as link:
            desk.command("list", takes_s=20)
            await asyncio.sleep(1)
            link.cut()
            await asyncio.sleep(0.1)
        assert now_s() == 1.1


async def test_when_the_server_last_asked() -> None:
    """`list_containers` is what the server polls with: the instant of the last one is kept, a new session counts."""
    desk = Desk()
    async with desk.jobs:
        async with desk.connected():
            desk.command("list", "a")
            await asyncio.sleep(5)
            assert desk.dispatcher.last_asked_s == 0.0
            desk.link.say(json.dumps({"type": "command", "id": "b", "command": "list_containers"}))
            await asyncio.sleep(5)
            assert desk.dispatcher.last_asked_s == 5.0
        async with desk.connected():
            assert desk.dispatcher.last_asked_s == 10.0
