"""What every engine behind the port does, be it in memory or a real one: the fake is as honest as this says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from at_once import at_once

from agent.clock import utcnow
from agent.core.journal import parse_instant
from agent.core.log_lines import log_text
from agent.ports import Conflict, Engine, EngineRefused, Json, NotFound

DEADLINE_S = 30.0
NOBODY = "f" * 12


@dataclass(frozen=True)
class Subject:
    """An engine, and how to put things on it.

    Attributes:
        add: `add(name, running=…)` makes a container, returns its ID and calls it `name(NAME)`. One that runs has
            written `hello` to stdout, and ends when it is told to.
        add_dying: `add_dying(name, exit_code=…, policy={…})` makes one that ends by itself soon after each start;
            `policy` is its RestartPolicy.
        add_image: Makes an image that nothing uses and returns its name.
    """

    engine: Engine
    image: str
    add: Callable[..., str]
    name: Callable[[str], str]
    add_dying: Callable[..., str]
    add_image: Callable[[], str]


class Sink:
    """Keeps what an event reader delivers about one container, as `ACTION` or `TYPE ACTION`."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.reason: str | None = None
        self._arrived = asyncio.Event()

    def event(self, event: Json) -> None:
        self.events.append(event)
        self._arrived.set()

    def ended(self, reason: str) -> None:
        self.reason = reason
        self._arrived.set()

    def actions(self, container_id: str) -> list[str]:
        return [event["Action"] for event in self.events if event["Actor"]["ID"] == container_id]

    async def until(self, container_id: str, last: str) -> list[str]:
        """The actions of a container, once `last` is the last of them."""
        async with asyncio.timeout(DEADLINE_S):
            while self.actions(container_id)[-1:] != [last]:
                self._arrived.clear()
                await self._arrived.wait()
        return self.actions(container_id)


CONTAINER_EVENTS = {"type": ["container"]}


async def state(engine: Engine, container: str) -> Json:
    inspected = await engine.inspect_container(container, deadline_s=DEADLINE_S)
    found: Json = inspected["State"]
    return found


class EngineContract:
    """Subclasses provide the fixture `subject`."""

    async def test_a_container_is_found_by_id_short_id_and_name(self, subject: Subject) -> None:
        """All three lead to the same container."""
        container = subject.add("web")
        for reference in (container, container[:12], subject.name("web")):
            found = await subject.engine.inspect_container(reference, deadline_s=DEADLINE_S)
            assert found["Id"] == container

    async def test_nobody(self, subject: Subject) -> None:
        """What is not there is `NotFound`, whatever is asked of it."""
        engine = subject.engine
        for asked in (
            engine.inspect_container(NOBODY, deadline_s=DEADLINE_S),
            engine.start(NOBODY, deadline_s=DEADLINE_S),
            engine.stop(NOBODY, timeout_s=1, deadline_s=DEADLINE_S),
            engine.kill(NOBODY, deadline_s=DEADLINE_S),
            engine.rename(NOBODY, subject.name("other"), deadline_s=DEADLINE_S),
            engine.remove(NOBODY, force=True, deadline_s=DEADLINE_S),
            engine.inspect_image(f"sha256:{'f' * 64}", deadline_s=DEADLINE_S),
            engine.create({"Image": "nosuch:1"}, None, deadline_s=DEADLINE_S),
        ):
            with pytest.raises(NotFound):
                await asked

    async def test_listed_and_inspected(self, subject: Subject) -> None:
        """The list has what it has and no more: state and names, and nothing of the restart policy."""
        container = subject.add("web", running=True)
        listed = next(
            item
            for item in await subject.engine.containers(deadline_s=DEADLINE_S)
            if item["Id"] == container
        )
        inspected = await subject.engine.inspect_container(container, deadline_s=DEADLINE_S)
        assert (listed["State"], listed["Names"]) == ("running", [f"/{subject.name('web')}"])
        assert (listed["Image"], inspected["Config"]["Image"]) == (subject.image, subject.image)
        assert listed["ImageID"] == inspected["Image"]
        assert "RestartPolicy" not in listed["HostConfig"]
        image = await subject.engine.inspect_image(listed["ImageID"], deadline_s=DEADLINE_S)
        assert image["Id"] == listed["ImageID"]

    async def test_never_started(self, subject: Subject) -> None:
        """A new container is `created`, and its start is an instant in the year 1."""
        found = await state(subject.engine, subject.add("job"))
        assert (found["Status"], found["Running"]) == ("created", False)
        assert found["StartedAt"].startswith("0001-01-01")

    async def test_start_and_stop(self, subject: Subject) -> None:
        """Both are told as they happen; done twice they are no error and no event."""
        engine, container, sink = subject.engine, subject.add("web"), Sink()
        reader = engine.read_events(CONTAINER_EVENTS, sink)
        await engine.start(container, deadline_s=DEADLINE_S)
        await engine.start(container, deadline_s=DEADLINE_S)
        assert (await state(engine, container))["Running"]
        await engine.stop(container, timeout_s=5, deadline_s=DEADLINE_S)
        await engine.stop(container, timeout_s=5, deadline_s=DEADLINE_S)
        assert (await state(engine, container))["Status"] == "exited"
        told = await sink.until(container, "stop")
        assert told[-4:] == ["start", "kill", "die", "stop"]
        reader.close()

    async def test_restart(self, subject: Subject) -> None:
        """A stop, a start, and one event for both; `StartedAt` moves on."""
        engine, container, sink = subject.engine, subject.add("web", running=True), Sink()
        before = (await state(engine, container))["StartedAt"]
        reader = engine.read_events(CONTAINER_EVENTS, sink)
        await asyncio.sleep(0.01)  # frozen time stands still otherwise
        await engine.restart(container, timeout_s=5, deadline_s=DEADLINE_S)
        told = await sink.until(container, "restart")
        assert told[-5:] == ["kill", "die", "stop", "start", "restart"]
        after = (await state(engine, container))["StartedAt"]
        earlier, later = parse_instant(before), parse_instant(after)
        assert earlier is not None
        assert later is not None
        assert earlier < later
        reader.close()

    async def test_kill(self, subject: Subject) -> None:
        """SIGKILL ends it with 137; one that does not run is a conflict."""
        engine, container, sink = subject.engine, subject.add("web", running=True), Sink()
        reader = engine.read_events(CONTAINER_EVENTS, sink)
        await engine.kill(container, deadline_s=DEADLINE_S)
        assert (await sink.until(container, "die"))[-2:] == ["kill", "die"]
        (died,) = (
            event["Actor"]["Attributes"]
            for event in sink.events
            if (event["Action"], event["Actor"]["ID"]) == ("die", container)
        )
        assert (died["exitCode"], died["name"]) == ("137", subject.name("web"))
        with pytest.raises(Conflict):
            await engine.kill(container, deadline_s=DEADLINE_S)
        reader.close()

    async def test_rename(self, subject: Subject) -> None:
        """The new name is there at once; one that is taken is a conflict; its own is refused."""
        engine, container, sink = subject.engine, subject.add("web"), Sink()
        subject.add("other")
        reader = engine.read_events(CONTAINER_EVENTS, sink)
        new_name = subject.name("renamed")
        await engine.rename(container, new_name, deadline_s=DEADLINE_S)
        inspected = await engine.inspect_container(container, deadline_s=DEADLINE_S)
        assert inspected["Name"] == f"/{new_name}"
        await sink.until(container, "rename")
        told = sink.events[-1]["Actor"]["Attributes"]
        assert (told["oldName"], told["name"]) == (f"/{subject.name('web')}", new_name)
        with pytest.raises(Conflict):
            await engine.rename(container, subject.name("other"), deadline_s=DEADLINE_S)
        with pytest.raises(EngineRefused):
            await engine.rename(container, new_name, deadline_s=DEADLINE_S)
        reader.close()

    async def test_remove(self, subject: Subject) -> None:
        """A running container goes by force alone, and is killed first."""
        engine, container, sink = subject.engine, subject.add("web", running=True), Sink()
        reader = engine.read_events(CONTAINER_EVENTS, sink)
        with pytest.raises(Conflict):
            await engine.remove(container, force=False, deadline_s=DEADLINE_S)
        await engine.remove(container, force=True, deadline_s=DEADLINE_S)
        assert (await sink.until(container, "destroy"))[-3:] == ["kill", "die", "destroy"]
        with pytest.raises(NotFound):
            await engine.inspect_container(container, deadline_s=DEADLINE_S)
        reader.close()

    async def test_create(self, subject: Subject) -> None:
        """The body is the Engine API's; the container does not run; its name is taken from then on."""
        engine, name = subject.engine, subject.name("made")
        body = {
            "Image": subject.image,
            "Labels": {"a": "b"},
            "Env": ["K=V"],
            "HostConfig": {"NetworkMode": "none", "RestartPolicy": {"Name": "always"}},
        }
        container = await engine.create(body, name, deadline_s=DEADLINE_S)
        try:
            inspected = await engine.inspect_container(container, deadline_s=DEADLINE_S)
            assert len(container) == 64
            assert inspected["State"]["Status"] == "created"
            assert inspected["Config"]["Labels"]["a"] == "b"
            assert "K=V" in inspected["Config"]["Env"]
            assert inspected["HostConfig"]["RestartPolicy"]["Name"] == "always"
            with pytest.raises(Conflict):
                await engine.create(body, name, deadline_s=DEADLINE_S)
        finally:
            await engine.remove(container, force=True, deadline_s=DEADLINE_S)

    async def test_the_ring(self, subject: Subject) -> None:
        """A reader hears what happened before it came, then what happens, and nothing after it was closed."""
        engine, container, early, late = subject.engine, subject.add("web"), Sink(), Sink()
        await engine.start(container, deadline_s=DEADLINE_S)
        reader = engine.read_events(CONTAINER_EVENTS, early)
        assert (await early.until(container, "start"))[-1] == "start"
        await engine.kill(container, deadline_s=DEADLINE_S)
        await early.until(container, "die")
        reader.close()
        count = len(early.events)
        await engine.remove(container, force=True, deadline_s=DEADLINE_S)
        again = engine.read_events({"type": ["container"], "event": ["die", "destroy"]}, late)
        assert (await late.until(container, "destroy"))[-2:] == ["die", "destroy"]
        assert len(early.events) == count
        assert early.reason is None
        again.close()
        instants = [event["timeNano"] for event in early.events]
        assert len(set(instants)) == len(instants)

    async def test_logs(self, subject: Subject) -> None:
        """The raw log is multiplexed and stamped; `since` leaves out what is older."""
        engine, container = subject.engine, subject.add("web", running=True)
        raw = b""
        async with asyncio.timeout(DEADLINE_S):
            while not raw:  # the container takes a moment to say something
                raw = await self.read(engine, container, since=None)
        assert raw[:4] == bytes([1, 0, 0, 0])
        stamp, _, text = at_once(log_text(raw, 1000, utcnow())).partition(" ")
        assert text == "hello"
        assert parse_instant(stamp) is not None
        assert await self.read(engine, container, since="4102444800.5") == b""

    async def read(self, engine: Engine, container: str, *, since: str | None) -> bytes:
        return await engine.logs(
            container, tail=10, since=since, max_bytes=1000, deadline_s=DEADLINE_S
        )
