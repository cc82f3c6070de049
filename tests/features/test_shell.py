"""Shells on a timeline: what reaches the process, what the browser is told, and what never stays behind."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest
from fakes.channel import FakeChannel
from fakes.engine import FakeEngine
from fakes.scope import FakeScope
from fakes.terminal import FakeTerminal
from waiting import until

from agent.clock import utcnow
from agent.core.shell_buffers import FRAME_BYTES, INPUT_MAX_BYTES, OUTPUT_HIGH_BYTES
from agent.features.shell import MAX_SESSIONS, RELEASE_S, Shells
from agent.features.shell_input import WRITE_S
from agent.features.shell_output import GATHER_S
from agent.features.shell_session import IDLE_S, PAUSED_LOOK_S, PAUSED_S
from agent.ports import EngineRefused, Json, Priority

ONE, TWO = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"


class World:
    """Shells between an engine with one running container, and a link."""

    def __init__(self, jobs: FakeScope) -> None:
        self.engine, self.channel = FakeEngine(), FakeChannel()
        self.web = self.engine.add("web", running=True)[:12]
        self.shells = Shells(self.engine, self.channel, clock=utcnow, detach=jobs.detach)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """One with the server."""
        self.channel.is_live = True
        async with FakeScope() as scope:
            self.shells.acquire(scope)
            yield
            await self.shells.release()

    # The browser

    def start(self, session: str = ONE, container: str | None = None) -> None:
        self.say(session, "start", container_id=container or self.web)

    def type(self, data: bytes, session: str = ONE) -> None:
        self.say(session, "data", data=base64.b64encode(data).decode())

    def resize(self, cols: int, rows: int, session: str = ONE) -> None:
        self.say(session, "resize", cols=cols, rows=rows)

    def close(self, session: str = ONE) -> None:
        self.say(session, "close")

    def say(self, session: str, action: str, **more: Any) -> None:
        self.shells.listener({"action": action, "session_id": session, **more})

    async def open(self, session: str = ONE) -> FakeTerminal:
        """A shell that is attached."""
        self.start(session)
        await after(0)
        return self.engine.terminals[-1]

    # What it is told

    def told(self, session: str = ONE) -> list[Json]:
        payloads = self.channel.payloads("shell_data")
        return [payload for payload in payloads if payload["session_id"] == session]

    def actions(self, session: str = ONE) -> list[str]:
        return [payload["action"] for payload in self.told(session)]

    def frames(self, session: str = ONE) -> list[bytes]:
        told = self.told(session)
        return [base64.b64decode(each["data"]) for each in told if each["action"] == "data"]

    def screen(self, session: str = ONE) -> str:
        return b"".join(self.frames(session)).decode()

    def errors(self) -> list[str]:
        told = self.channel.payloads("shell_data")
        return [payload["error"] for payload in told if payload["action"] == "error"]


async def after(seconds: float) -> None:
    """Until everything that falls due within `seconds` from now is done."""
    await asyncio.sleep(seconds)
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def jobs() -> AsyncIterator[FakeScope]:
    async with FakeScope() as jobs:
        yield jobs


@pytest.fixture
def world(jobs: FakeScope) -> World:
    return World(jobs)


# --- Typing and reading


async def test_a_dialogue(world: World) -> None:
    """A prompt, a command, its output, and the end that the process chose."""
    async with world.session():
        shell = await world.open()
        shell.writes(b"$ ")
        world.type(b"ls\r")
        await after(GATHER_S)
        shell.writes(b"ls\r\nbin\r\n")
        shell.exits(0)
        await after(1)
    assert shell.received == [b"ls\r"]
    assert world.actions() == ["started", "data", "data", "data", "closed"]
    assert world.screen() == "$ ls\r\nbin\r\n\r\n[session closed]\r\n"
    assert {priority for priority, _ in world.channel.sent} == {Priority.SHELL}


async def test_the_shell(world: World) -> None:
    """Bash where there is one, in a terminal with colours."""
    async with world.session():
        shell = await world.open()
    assert (shell.container, shell.env) == ("web", {"TERM": "xterm-256color"})
    assert shell.command[:2] == ["/bin/sh", "-c"]
    assert "exec bash" in shell.command[2]


async def test_early_input_and_size(world: World) -> None:
    """The browser tells its size as soon as it opens: it waits for the process, and so does what is typed."""
    world.engine.delay_s["open_terminal"] = 2.0
    async with world.session():
        world.start()
        world.resize(132, 50)
        world.type(b"l")
        world.type(b"s\r")
        world.resize(100, 40)
        world.type(b"q")
        await after(1.9)
        assert world.told() == []
        await after(0.2)
        [shell] = world.engine.terminals
        assert shell.received == [(132, 50), b"ls\r", (100, 40), b"q"]


async def test_two_shells_do_not_mix(world: World) -> None:
    """Each has its own input and output, and one that takes no input does not keep the other waiting."""
    async with world.session():
        one, two = await world.open(ONE), await world.open(TWO)
        one.reads = False
        world.type(b"one", ONE)
        world.type(b"two", TWO)
        one.writes(b"1")
        two.writes(b"2")
        await after(GATHER_S)
        assert (one.received, two.received) == ([], [b"two"])
        assert (world.screen(ONE), world.screen(TWO)) == ("1", "2")


async def test_a_size_that_cannot_be_set(world: World) -> None:
    """The terminal works as well without."""
    async with world.session():
        shell = await world.open()
        shell.is_running = False
        world.resize(132, 50)
        world.type(b"x")
        await after(0)
        assert shell.received == [b"x"]
        assert world.actions() == ["started"]


async def test_characters_in_the_making(world: World) -> None:
    """Output is bytes: what is no UTF-8, or half of it, arrives as it is."""
    async with world.session():
        shell = await world.open()
        shell.writes(b"\xff\xf0\x9f")
        await after(GATHER_S)
        shell.writes(b"\x90\xb3")
        await after(GATHER_S)
    assert b"".join(world.frames()) == b"\xff\xf0\x9f\x90\xb3"


# --- Much output


async def test_small_pieces_leave_together(world: World) -> None:
    """The first at once; what comes within some milliseconds goes in one frame."""
    async with world.session():
        shell = await world.open()
        shell.writes(b"$")
        await after(0)
        assert world.frames() == [b"$"]
        for _ in range(50):
            shell.writes(b"x")
        await after(GATHER_S)
        assert world.frames() == [b"$", b"x" * 50]


async def test_a_flood(world: World) -> None:
    """Every byte arrives, in frames of 16 KiB, no faster than one each ten milliseconds."""
    flood = bytes(range(256)) * 4 * 1024
    async with world.session():
        shell = await world.open()
        began_s = asyncio.get_running_loop().time()
        shell.writes(flood)
        frames = len(flood) // FRAME_BYTES
        await until(lambda: len(world.frames()) >= frames, every_s=GATHER_S / 2)
        took_s = asyncio.get_running_loop().time() - began_s
    assert b"".join(world.frames()) == flood
    assert {len(frame) for frame in world.frames()} == {FRAME_BYTES}
    assert took_s >= (frames - 1) * GATHER_S


async def test_a_flood_and_a_slow_link(world: World) -> None:
    """One frame is on its way, 64 KiB wait, and then the process has to; it goes on when the link does."""
    flood_bytes = 10 * 1024 * 1024
    async with world.session():
        shell = await world.open()
        world.channel.takes = False
        shell.writes(b"y\n" * (flood_bytes // 2))
        await after(60)
        assert len(world.frames()) == 1
        assert shell.is_paused
        assert flood_bytes - shell.unread_bytes <= OUTPUT_HIGH_BYTES + FRAME_BYTES

        world.channel.takes = True
        world.channel.take_all()
        await until(lambda: not shell.unread_bytes, every_s=1)
        shell.exits(0)
        await after(1)
    assert world.screen() == "y\n" * (flood_bytes // 2) + "\r\n[session closed]\r\n"
    assert world.actions()[-1] == "closed"


async def test_too_much_waits_already(world: World) -> None:
    """A channel that is full takes the same frame a little later; nothing is lost or doubled."""
    async with world.session():
        shell = await world.open()
        world.channel.is_full = True
        shell.writes(b"one")
        await after(5)
        assert world.frames() == []
        world.channel.is_full = False
        await after(1)
        assert world.frames() == [b"one"]


# --- Ends


async def test_the_exit_code_is_told(world: World) -> None:
    """The browser stays open, so the last line on it says what happened."""
    async with world.session():
        shell = await world.open()
        shell.exits(130)
        await after(1)
    assert world.screen() == "\r\n[session closed: exit code 130]\r\n"
    assert world.actions()[-1] == "closed"


async def test_last_words_come_before_the_end(world: World) -> None:
    """What the process wrote before it ended is all there, in front of the notice."""
    async with world.session():
        shell = await world.open()
        shell.writes(b"x" * 5 * FRAME_BYTES)
        shell.exits(0)
        await after(5)
    assert world.screen() == "x" * 5 * FRAME_BYTES + "\r\n[session closed]\r\n"


async def test_the_browser_closes(world: World) -> None:
    """What was typed before still counts; then the process is ended, and nobody is told."""
    async with world.session():
        shell = await world.open()
        world.type(b"touch /x\r")
        world.close()
        await after(0)
        assert shell.received == [b"touch /x\r"]
        assert not shell.is_running
        assert not shell.is_open
        assert not shell.was_left
        assert world.actions() == ["started"]


async def test_the_browser_closes_on_a_process_that_reads_nothing(world: World) -> None:
    """It is not waited for."""
    async with world.session():
        shell = await world.open()
        shell.reads = False
        world.type(b"x")
        world.close()
        await after(1)
        assert not shell.is_running


async def test_the_browser_closes_before_the_process_is_there(world: World) -> None:
    """A shell that comes up after that is ended at once."""
    world.engine.delay_s["open_terminal"] = 5.0
    async with world.session():
        world.start()
        world.close()
        await after(5)
        [shell] = world.engine.terminals
        assert not shell.is_running
        assert not shell.is_open


async def test_an_idle_shell(world: World) -> None:
    """Half an hour without a byte in either direction ends it, and says so."""
    async with world.session():
        shell = await world.open()
        await after(IDLE_S - 1)
        world.type(b" ")
        await after(IDLE_S - 1)
        shell.writes(b" ")
        await after(IDLE_S - 1)
        assert shell.is_running
        world.resize(80, 24)  # windows do that by themselves
        await after(2)
        assert not shell.is_running
    assert world.screen() == " \r\n[session closed: nothing happened in it for 30 minutes]\r\n"
    assert world.actions()[-1] == "closed"


async def test_the_engine_goes_away(world: World) -> None:
    """The notice says why."""
    async with world.session():
        shell = await world.open()
        shell.breaks("the engine ended the connection")
        await after(1)
        assert not shell.is_running
    assert world.screen() == "\r\n[session closed: the engine ended the connection]\r\n"


async def test_the_link_is_lost(world: World) -> None:
    """Shells end with the session that opened them; the next one begins without."""
    async with world.session():
        one, two = await world.open(ONE), await world.open(TWO)
        one.writes(b"x")
        world.channel.cut()
        two.writes(b"x")
    assert not one.is_running
    assert not two.is_running
    count = len(world.told())
    async with world.session():
        world.type(b"late", ONE)
        await after(IDLE_S)
    assert len(world.told()) == count
    assert one.received == two.received == []


async def test_a_frame_is_on_its_way_when_the_link_is_lost(world: World) -> None:
    """It is not sent again over the next one."""
    async with world.session():
        shell = await world.open()
        world.channel.takes = False
        shell.writes(b"one")
        await after(0)
        world.channel.cut()
        await after(0)
        assert not shell.is_running
    assert world.frames() == [b"one"]


async def test_a_process_that_does_not_want_to_end(world: World) -> None:
    """Letting go of the session waits a second; the process is still ended after that."""
    loop = asyncio.get_running_loop()
    async with world.session():
        shell = await world.open()
        shell.dies_after_s = 5.0
        left_s = loop.time()
    assert loop.time() - left_s == pytest.approx(RELEASE_S)
    assert shell.is_running
    await after(5)
    assert not shell.is_running


async def test_the_session_ends_before_the_process_is_there(world: World) -> None:
    """The engine was asked for a shell: it is ended when it comes."""
    world.engine.delay_s["open_terminal"] = 3.0
    async with world.session():
        world.start()
        await after(1)
    await after(3)
    [shell] = world.engine.terminals
    assert not shell.is_running
    assert world.told() == []


async def test_a_container_that_is_paused(world: World) -> None:
    """Nothing in it can be ended, so its shell is when it goes on."""
    async with world.session():
        shell = await world.open()
        shell.is_frozen = True
        world.close()
        await after(300)
        assert shell.is_running
        shell.is_frozen = False
        await after(PAUSED_LOOK_S)
        assert not shell.is_running


async def test_a_shell_that_fails_in_a_container_that_is_paused(world: World) -> None:
    """The browser is told at once, for nobody knows how long the process stays."""
    async with world.session():
        shell = await world.open()
        shell.reads, shell.is_frozen = False, True
        world.type(b"x" * INPUT_MAX_BYTES)
        world.type(b"x")
        await after(1)
        assert world.errors() == ["the process in the container does not read what is typed"]
        assert shell.is_running


async def test_a_container_that_stays_paused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Its shell is given up, and makes room for another one."""
    async with world.session():
        shell = await world.open()
        shell.is_frozen = True
        world.close()
        await after(PAUSED_S + PAUSED_LOOK_S)
        assert not shell.is_open
    assert f"a shell in {world.web} may still be running: Container web is paused" in caplog.text


async def test_the_agent_ends(world: World, jobs: FakeScope) -> None:
    """Whatever keeps a shell busy then, its process is ended."""
    async with world.session():
        shell = await world.open()
        jobs.end()
        await after(0)
        assert not shell.is_running
        assert not shell.was_left


async def test_the_agent_ends_while_it_waits_for_a_process_to_end(
    world: World, jobs: FakeScope
) -> None:
    """The process has not been killed yet, so it is tried once more."""
    async with world.session():
        shell = await world.open()
        shell.dies_after_s = 1.3
    jobs.end()
    await after(1.3)
    assert not shell.is_running
    assert not shell.was_left


async def test_a_process_that_may_still_run(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is left to be told but the log."""
    async with world.session():
        shell = await world.open()
        shell.dies_after_s = 3600.0
        world.close()
        await after(30)
    assert f"a shell in {world.web} may still be running" in caplog.text


# --- What goes wrong


async def test_no_such_container(world: World) -> None:
    """The browser is closed with the engine's own words."""
    async with world.session():
        world.start(container="bbbbbbbbbbbb")
        await after(0)
    assert world.actions() == ["error"]
    assert world.errors() == ["No such container: bbbbbbbbbbbb"]


async def test_a_container_that_does_not_run(world: World) -> None:
    """As above."""
    stopped = world.engine.add("job")
    async with world.session():
        world.start(container=stopped[:12])
        await after(0)
    assert world.errors() == [f"Container {stopped} is not running"]


async def test_no_shell_in_the_container(world: World) -> None:
    """A long reason is cut so that it fits into a close frame, else the browser would stay open."""
    world.engine.failing["open_terminal"] = EngineRefused("é" * 200, 400)
    async with world.session():
        world.start()
        await after(0)
    assert world.errors() == ["é" * 60 + "…"]


async def test_an_engine_that_does_not_answer(world: World) -> None:
    """There is an answer all the same."""
    world.engine.delay_s["open_terminal"] = 3600.0
    async with world.session():
        world.start()
        await after(30)
    assert world.errors() == ["the engine did not answer within 20 s"]


async def test_a_defect_of_ours(
    world: World, jobs: FakeScope, caplog: pytest.LogCaptureFixture
) -> None:
    """The browser is told, and no process is left behind for it."""
    readings = iter([None])

    def clock() -> datetime:
        for _ in readings:
            raise ZeroDivisionError
        return utcnow()

    world.shells = Shells(world.engine, world.channel, clock=clock, detach=jobs.detach)
    async with world.session():
        shell = await world.open()
        await after(0)
        assert not shell.is_running
    assert world.errors() == ["the shell failed in the agent; its log says why"]
    assert "ZeroDivisionError" in caplog.text


async def test_more_is_typed_than_read(world: World) -> None:
    """A large paste waits for a process; what is more ends it, and the browser is told."""
    async with world.session():
        shell = await world.open()
        shell.reads = False
        world.type(b"x")
        await after(0)
        for _ in range(INPUT_MAX_BYTES // 1024):
            world.type(b"x" * 1024)
        await after(0)
        assert world.errors() == []
        world.type(b"x")
        await after(0)
        assert not shell.is_running
    assert world.errors() == ["the process in the container does not read what is typed"]


async def test_more_is_typed_than_may_wait_before_the_process_is_there(world: World) -> None:
    """The same, and the process is ended when it comes."""
    world.engine.delay_s["open_terminal"] = 3.0
    async with world.session():
        world.start()
        world.type(b"x" * INPUT_MAX_BYTES)
        world.type(b"x")
        await after(4)
        [shell] = world.engine.terminals
        assert not shell.is_running
    assert world.errors() == ["the process in the container does not read what is typed"]


async def test_input_that_is_not_taken(world: World) -> None:
    """A process that reads nothing for half a minute, with the engine's buffers full, ends."""
    async with world.session():
        shell = await world.open()
        shell.reads = False
        world.type(b"x")
        await after(WRITE_S + 1)
        assert not shell.is_running
    assert world.errors() == ["the process took no input for 30 s"]


async def test_too_many_shells(world: World) -> None:
    """The seventeenth is refused; one that ended makes room."""
    sessions = [f"{number:08x}" for number in range(MAX_SESSIONS + 2)]
    async with world.session():
        for session in sessions[:-1]:
            world.start(session)
        await after(0)
        assert len(world.engine.terminals) == MAX_SESSIONS
        assert world.actions(sessions[-2]) == ["error"]
        assert world.errors() == ["16 shells are open on this host already: close one of them"]
        world.close(sessions[0])
        await after(0)
        world.start(sessions[-1])
        await after(0)
        assert world.actions(sessions[-1]) == ["started"]


async def test_a_repeated_start(world: World) -> None:
    """The shell that is there goes on, and there is no second one."""
    async with world.session():
        shell = await world.open()
        world.start()
        await after(0)
        assert world.engine.terminals == [shell]
        assert world.actions() == ["started"]


@pytest.mark.parametrize(
    ("payload", "line"),
    [
        ({}, "payload: "),
        ({"action": "sing", "session_id": ONE}, "payload: "),
        ({"action": "data", "session_id": ONE, "data": "§"}, "data: "),
        ({"action": "resize", "session_id": ONE, "cols": 0, "rows": 0}, "cols: "),
        ({"action": "start", "session_id": TWO, "container_id": 7}, "container_id: "),
    ],
)
async def test_odd_messages(
    world: World, caplog: pytest.LogCaptureFixture, payload: Json, line: str
) -> None:
    """They are ignored, with a line in the log; shells go on."""
    async with world.session():
        shell = await world.open()
        world.shells.listener(payload)
        world.type(b"x")
        await after(0)
        assert shell.received == [b"x"]
    assert f"a shell message was not understood: {line}" in caplog.text


async def test_messages_for_nobody(world: World) -> None:
    """Late ones for a shell that has ended, and any without a session, change nothing."""
    async with world.session():
        shell = await world.open()
        shell.exits(0)
        await after(1)
        count = len(world.told())
        world.type(b"x")
        world.resize(80, 24)
        world.close()
        await after(1)
        assert len(world.told()) == count
    world.start(TWO)
    await after(1)
    assert world.engine.terminals == [shell]


async def test_what_is_typed_is_not_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """At no level: passwords are typed, and shown."""
    caplog.set_level(logging.DEBUG)
    async with world.session():
        shell = await world.open()
        world.type(b"hunter2")
        shell.writes(b"hunter2")
        await after(1)
        world.close()
        await after(1)
        world.type(b"hunter2")
    assert "hunter2" not in caplog.text
    assert base64.b64encode(b"hunter2").decode() not in caplog.text
