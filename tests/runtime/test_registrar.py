"""How an agent gets in, and back in: which token, with which facts, how often, and what it keeps of the answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from fakes.link import FakeServer, accepted, declined
from fakes.store import MemoryStore
from waiting import PATIENCE_S

from agent.clock import utcnow
from agent.core.backoff import Backoff
from agent.core.chart import Chart
from agent.core.failures import Failure, FailureKind
from agent.core.identity import Identity
from agent.core.journal import Row
from agent.core.lifecycle import AttemptFailed, Lifecycle, Refused
from agent.core.machine import Event, StopRequested
from agent.ports import Activity, Batch, EngineFacts, HostLook, StoreError
from agent.runtime.dispatcher import Dispatcher
from agent.runtime.engine_status import EngineStatus
from agent.runtime.region import Region
from agent.runtime.registrar import Presentation, Registrar
from agent.runtime.runtime import Move, Runtime
from agent.runtime.session import Session
from agent.runtime.vacant import Vacant

FULL = StoreError("/data cannot be used: no space left on device; free space")
FACTS = EngineFacts("ENGN:1", "rack7-docker", version="27.3.1", num_cpus=4)
KNOWN = Identity("agent-1", "agent-1", "host-1", "ENGN:1", "rack7-docker")

Line = tuple[float, str, str]


class LongestDelays(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


class Tokens:
    registration_token: str | None = None
    permanent_token: str | None = None


class NamedHost:
    def look(self, *, container_subnets: Sequence[str]) -> HostLook:
        return HostLook(name="rack7", machine="x86_64", addresses=("192.0.2.7",))


class QuietBeat:
    def pulse(self, states: object) -> None: ...


class Gate:
    """An agent that can do nothing but get in: the lifecycle on a runtime, with a server that the test plays."""

    def __init__(
        self,
        identity: Identity | None = None,
        *,
        registration_token: str | None = None,
        facts: EngineFacts | None = FACTS,
        agent_name: str = "",
    ) -> None:
        self.server = FakeServer()
        self.store = MemoryStore(identity)
        self.status = EngineStatus()
        if facts is not None:
            self.status.answered(facts)
        self.tokens = Tokens()
        self.tokens.registration_token = registration_token
        self.learnt: list[str] = []
        self.welcomed: list[Identity] = []
        self.moves: list[Move] = []
        self.presentation = Presentation("3.0.0", "1.1", agent_name)

    def assemble(self) -> Runtime:
        runtime = Runtime(beat=QuietBeat(), strict=True)
        self.session = Session(self.server)
        self.dispatcher = Dispatcher(
            self.session,
            self.store,
            commands=[],
            operations=[],
            listeners={},
            detach=runtime.detach,
            clock=utcnow,
        )
        registrar = Registrar(
            self.session,
            self.store,
            self.status,
            NamedHost(),
            self.dispatcher,
            self.presentation,
            capabilities=lambda facts: {"event_streaming": True, "known": facts is not None},
            credentials=lambda: self.tokens,
            learn=self.learnt.append,
            welcomed=self.welcomed.append,
        )
        machine = Lifecycle(
            Chart.load("lifecycle"), backoff=Backoff(1.0, 60.0), rng=LongestDelays()
        )
        activities: dict[str, Activity] = {
            "await_reason": registrar.await_reason,
            "register": registrar.register,
            "stay": registrar.stay,
            "await_retry": registrar.await_retry,
            "follow_update": _no_update,
        }
        resources = {name: Vacant() for name in machine.chart.resources}
        runtime.add(
            Region(
                machine,
                activities,
                {**resources, "session": self.session, "commands": self.dispatcher},
            )
        )
        runtime.observe(self.moves.append)
        return runtime

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        runtime = self.assemble()
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(runtime.run())
            yield
            if not run.done():
                runtime.post(StopRequested("the test is over"))

    def timeline(self) -> list[Line]:
        return [(round(m.at_s, 3), type(m.event).__name__, m.after) for m in self.moves]

    def events(self, kind: type[Event]) -> list[Event]:
        return [move.event for move in self.moves if isinstance(move.event, kind)]

    @property
    def tried(self) -> list[str]:
        """The tokens, as the server saw them."""
        return [message["token"] for message in self.server.registers]


async def _no_update(_: object) -> Event:
    raise AssertionError("nothing here updates")


EXPIRED = declined("Registration token has expired")
DELETED = declined("Invalid registration token")
NAMED = declined("A host named 'rack7-docker' is already registered")


# Getting in


async def test_the_first_time() -> None:
    """With a registration token and an engine the agent is in at once, says who it is, and keeps who it became."""
    gate = Gate(registration_token="reg-1")
    async with gate.running():
        await asyncio.sleep(5)
        assert gate.timeline() == [
            (0.0, "EngineKnown", "registering"),
            (0.0, "Registered", "connected"),
        ]
        assert gate.session.is_live
    (register,) = gate.server.registers
    assert register["token"] == "reg-1"
    assert register["engine_id"] == "ENGN:1"
    assert (register["hostname"], register["hostname_source"]) == ("rack7-docker", "daemon")
    assert (register["docker_version"], register["num_cpus"]) == ("27.3.1", 4)
    assert (register["host_ip"], register["agent_arch"]) == ("192.0.2.7", "amd64")
    assert register["capabilities"] == {"event_streaming": True, "known": True}
    assert gate.store.saved == KNOWN
    assert gate.welcomed == [KNOWN]


async def test_coming_back() -> None:
    """A known agent uses its own token, and keeps the name it was given on the server by not sending its own."""
    gate = Gate(KNOWN, registration_token="reg-1")
    async with gate.running():
        await asyncio.sleep(1)
    assert gate.tried == ["agent-1"]
    assert "hostname" not in gate.server.registers[0]


async def test_another_name_is_told() -> None:
    """A host that was renamed says so."""
    gate = Gate(KNOWN, agent_name="rack 7")
    async with gate.running():
        await asyncio.sleep(1)
    assert gate.server.registers[0]["hostname"] == "rack 7"
    assert gate.server.registers[0]["hostname_source"] == "agent_name"
    assert gate.store.saved.hostname == "rack 7"


async def test_the_engine_id_of_the_registration_stays() -> None:
    """Some engines answer another ID each time they are asked: the first one is used from then on."""
    gate = Gate(KNOWN, facts=EngineFacts("ENGN:2", "rack7-docker"))
    async with gate.running():
        await asyncio.sleep(1)
    assert gate.server.registers[0]["engine_id"] == "ENGN:1"
    assert gate.store.saved.engine_id == "ENGN:1"


async def test_the_tokens_in_order() -> None:
    """The stored token first, then PERMANENT_TOKEN, then the registration token; each over a new connection."""
    gate = Gate(KNOWN, registration_token="reg-1")
    gate.tokens.permanent_token = "perm-1"
    gate.server.answers = [DELETED, DELETED]
    async with gate.running():
        await asyncio.sleep(1)
        assert gate.tried == ["agent-1", "perm-1", "reg-1"]
        assert [link.closing for link in gate.server.links[:2]] == [(1000, ""), (1000, "")]
        assert gate.timeline()[-1][2] == "connected"
    # As a new host: with the engine's own ID and a name.
    assert "hostname" in gate.server.registers[2]
    assert gate.learnt[:3] == ["agent-1", "perm-1", "reg-1"]


async def test_every_secret_is_learnt_before_it_is_used() -> None:
    """The token that the server gives is learnt too, so that no log line can show it."""
    gate = Gate(registration_token="reg-1")
    gate.server.answer = accepted(token="a-new-token")
    async with gate.running():
        await asyncio.sleep(1)
    assert gate.learnt == ["reg-1", "a-new-token"]


async def test_no_token(caplog: pytest.LogCaptureFixture) -> None:
    """Without any token the agent waits, says so once, and notices within ten seconds when there is one."""
    gate = Gate()
    async with gate.running():
        await asyncio.sleep(95)
        assert gate.server.dials_s == []
        gate.tokens.registration_token = "reg-1"
        await asyncio.sleep(10)
        assert gate.server.dials_s == [100.0]
        assert gate.timeline()[-1] == (100.0, "Registered", "connected")
    assert sum("there is no token" in line for line in caplog.messages) == 1


# The engine


async def test_the_first_time_without_an_engine() -> None:
    """Who has no engine ID waits for the engine, for ever if need be, and registers at once when it answers."""
    gate = Gate(registration_token="reg-1", facts=None)
    async with gate.running():
        await asyncio.sleep(7200)
        assert gate.timeline() == []
        gate.status.answered(FACTS)
        await asyncio.sleep(1)
        assert gate.timeline()[-1] == (7200.0, "Registered", "connected")


async def test_coming_back_without_an_engine() -> None:
    """Who has an ID gives the engine five seconds and registers without facts, under the name it has."""
    gate = Gate(KNOWN, facts=None)
    async with gate.running():
        await asyncio.sleep(10)
        assert gate.timeline()[-1] == (5.0, "Registered", "connected")
    register = gate.server.registers[0]
    assert register["engine_id"] == "ENGN:1"
    assert not {"hostname", "docker_version", "num_cpus"} & register.keys()
    assert gate.store.saved == KNOWN


async def test_an_engine_that_is_a_little_late() -> None:
    """If it answers within those five seconds its facts are told."""
    gate = Gate(KNOWN, facts=None)
    async with gate.running():
        await asyncio.sleep(3)
        gate.status.answered(FACTS)
        await asyncio.sleep(1)
        assert gate.timeline()[-1] == (3.0, "Registered", "connected")
    assert gate.server.registers[0]["docker_version"] == "27.3.1"


# Refusals


async def test_a_passing_refusal() -> None:
    """What may be better in a moment is tried again after the usual delays."""
    gate = Gate(KNOWN)
    gate.server.answers = [declined("Registration failed"), declined("Something new")]
    async with gate.running():
        await asyncio.sleep(10)
        assert gate.timeline()[1:] == [
            (0.0, "AttemptFailed", "backoff"),
            (1.0, "RetryDue", "registering"),
            (1.0, "AttemptFailed", "backoff"),
            (3.0, "RetryDue", "registering"),
            (3.0, "Registered", "connected"),
        ]


async def test_a_permanent_refusal() -> None:
    """What stays as it is until somebody repairs it is tried again every ten minutes, for ever."""
    gate = Gate(registration_token="reg-1")
    gate.server.answer = EXPIRED
    async with gate.running():
        await asyncio.sleep(3000)
        assert gate.server.dials_s == [0.0, 600.0, 1200.0, 1800.0, 2400.0]
        assert {state for _, _, state in gate.timeline()} == {"registering", "unregistered"}
        gate.server.answer = accepted()
        await asyncio.sleep(60)
        assert gate.timeline()[-1] == (3000.0, "Registered", "connected")


async def test_another_token_after_a_refusal() -> None:
    """A new token in a file is noticed within ten seconds, and tried at once."""
    gate = Gate(registration_token="reg-1")
    gate.server.answers = [EXPIRED]
    async with gate.running():
        await asyncio.sleep(203)
        gate.tokens.registration_token = "reg-2"
        await asyncio.sleep(10)
        assert gate.timeline()[-2:] == [
            (210.0, "CredentialsChanged", "registering"),
            (210.0, "Registered", "connected"),
        ]
    assert gate.tried == ["reg-1", "reg-2"]


async def test_a_token_that_changes_while_it_is_refused() -> None:
    """Compared is with what was tried. With what there was after it, a change in that moment would go unseen."""
    gate = Gate(registration_token="reg-1")
    gate.server.answer = None
    async with gate.running():
        await asyncio.sleep(1)
        gate.tokens.registration_token = "reg-2"
        gate.server.answer = accepted()
        gate.server.link.say(EXPIRED)
        await asyncio.sleep(1)
        assert gate.timeline()[-1] == (1.0, "Registered", "connected")
    assert gate.tried == ["reg-1", "reg-2"]


async def test_refused_for_good_says_what_to_do() -> None:
    """The refusal carries the server's words and an advice; another token is not tried where it cannot help."""
    gate = Gate(KNOWN, registration_token="reg-1")
    gate.server.answer = NAMED
    async with gate.running():
        await asyncio.sleep(1)
    (event,) = gate.events(Refused)
    assert isinstance(event, Refused)
    assert event.refusal.permanent
    assert "AGENT_NAME" in event.refusal.advice
    assert gate.tried == ["agent-1"]


async def test_a_field_that_the_server_dislikes() -> None:
    """It is left out, at once and in later attempts: no odd value on a host can keep it out."""
    gate = Gate(KNOWN)
    for field in ("docker_version", "host_ip"):
        gate.server.answers.append(declined(f"Invalid registration data (field: {field})"))
    async with gate.running():
        await asyncio.sleep(1)
        assert gate.timeline()[-1] == (0.0, "Registered", "connected")
        gate.server.link.cut()
        await asyncio.sleep(60)
    assert ["docker_version" in message for message in gate.server.registers] == [
        True,
        *[False] * 3,
    ]
    assert ["host_ip" in message for message in gate.server.registers] == [True, True, False, False]


async def test_a_field_that_cannot_be_left_out() -> None:
    """A value that is needed and disliked is a permanent refusal, not a loop."""
    gate = Gate(KNOWN)
    gate.server.answer = declined("Invalid registration data (field: engine_id)")
    async with gate.running():
        await asyncio.sleep(60)
        assert gate.timeline()[-1] == (0.0, "Refused", "unregistered")
    assert len(gate.tried) == 2


async def test_every_field_disliked() -> None:
    """Not more than five are tried one after the other."""
    gate = Gate(KNOWN)
    fields = ["os_type", "hostname", "num_cpus", "host_ip", "host_ips", "agent_os", "agent_arch"]
    gate.server.answers = [declined(f"Invalid registration data (field: {f})") for f in fields]
    async with gate.running():
        await asyncio.sleep(1)
        assert gate.timeline()[-1] == (0.0, "Refused", "unregistered")
    assert len(gate.tried) == 6


# Attempts that fail


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("<html>", "not JSON"),
        ({"type": "pong"}, "is of type 'pong'"),
        ("[]", "not a DockMon message"),
        (None, "no answer to register within 15 s"),
    ],
)
async def test_not_a_dockmon_server(answer: object, told: str) -> None:
    """Whatever else answers there is a failed attempt, tried again."""
    gate = Gate(KNOWN)
    gate.server.answers = [answer]  # type: ignore[list-item]  # one table for all answers
    async with gate.running():
        await asyncio.sleep(60)
        assert gate.timeline()[-1][1:] == ("Registered", "connected")
    (event,) = gate.events(AttemptFailed)
    assert told in str(event)


async def test_a_server_that_is_away() -> None:
    """The delays double up to a minute, and go on for ever."""
    gate = Gate(KNOWN)
    gate.server.unreachable = Failure(FailureKind.TCP, "refused")
    async with gate.running():
        await asyncio.sleep(200)
        assert gate.server.dials_s == [0, 1, 3, 7, 15, 31, 63, 123, 183]
        gate.server.unreachable = None
        await asyncio.sleep(60)
        assert gate.timeline()[-1] == (243.0, "Registered", "connected")


# The data directory


async def test_a_token_is_not_spent_for_nothing() -> None:
    """A registration token works once: it is not used while what it buys could not be kept."""
    gate = Gate(registration_token="reg-1")

    class Unwritable(MemoryStore):
        async def prove_writable(self) -> None:
            raise FULL

    gate.store = Unwritable()
    async with gate.running():
        await asyncio.sleep(100)
        assert gate.server.dials_s == []
    event = gate.events(AttemptFailed)[0]
    assert isinstance(event, AttemptFailed)
    assert event.failure.kind is FailureKind.DATA_DIR
    assert "free space" in event.failure.text


async def test_a_permanent_token_needs_no_disk() -> None:
    """What is not spent by using it is used whatever the disk says."""
    gate = Gate(KNOWN)

    class Unwritable(MemoryStore):
        async def prove_writable(self) -> None:
            raise FULL

    gate.store = Unwritable(KNOWN)
    async with gate.running():
        await asyncio.sleep(1)
        assert gate.timeline()[-1][2] == "connected"


async def test_a_directory_that_cannot_be_read() -> None:
    """It is a failed attempt that names the directory, and tried again. It used to look like a defect of the agent."""
    gate = Gate(KNOWN)
    gate.store.broken = FULL
    async with gate.running():
        await asyncio.sleep(10)
        gate.store.broken = None
        await asyncio.sleep(20)
        assert gate.timeline()[-1][1:] == ("Registered", "connected")
    assert {type(move.event).__name__ for move in gate.moves} == {
        "EngineKnown",
        "AttemptFailed",
        "RetryDue",
        "Registered",
        "StopRequested",
    }


class Refuses(MemoryStore):
    """Takes no identity for an hour."""

    async def save_identity(self, identity: Identity) -> None:
        if asyncio.get_running_loop().time() < 3600:
            raise FULL
        await super().save_identity(identity)


async def test_an_identity_that_cannot_be_kept() -> None:
    """It is used from memory, for the token that bought it is spent. The next attempt used to be refused for ever."""
    gate = Gate(registration_token="reg-1")
    gate.store = Refuses()
    async with gate.running():
        await asyncio.sleep(10)
        gate.server.link.cut()
        await asyncio.sleep(10)
        assert gate.timeline()[-1][2] == "connected"
        assert gate.tried == ["reg-1", "agent-1"]
        assert gate.store.saved == Identity()


async def test_an_identity_is_kept_as_soon_as_it_can_be() -> None:
    """While connected it is tried again each minute, so that a disk freed in time saves the next restart."""
    gate = Gate(registration_token="reg-1")
    gate.store = Refuses()
    async with gate.running():
        for _ in range(3700):
            await asyncio.sleep(1)
            gate.dispatcher.last_asked_s = asyncio.get_running_loop().time()
        assert gate.store.saved == KNOWN


async def test_an_unchanged_identity_is_not_written() -> None:
    """A reconnect costs no write."""
    gate = Gate(KNOWN)

    class ReadOnly(MemoryStore):
        async def save_identity(self, identity: Identity) -> None:
            raise AssertionError(identity)

    gate.store = ReadOnly(KNOWN)
    async with gate.running():
        await asyncio.sleep(1)
        assert gate.timeline()[-1][2] == "connected"


async def test_another_host_record() -> None:
    """When the server made a new record of this host, the events for the old one go: they are not the new one's."""
    gate = Gate(KNOWN, registration_token="reg-1")
    row = Row("key", {"container_id": "c" * 64, "action": "start"})
    await gate.store.journal(Batch([row]))
    gate.server.answers = [DELETED, accepted("host-2", "agent-2")]
    async with gate.running():
        await asyncio.sleep(1)
        assert gate.store.undelivered == set()
        assert gate.store.saved == Identity(
            "agent-2", "agent-2", "host-2", "ENGN:1", "rack7-docker"
        )


async def test_the_same_host_record() -> None:
    """A reconnect to the same record lets nothing go."""
    gate = Gate(KNOWN)
    await gate.store.journal(Batch([Row("key", {"container_id": "c" * 64, "action": "start"})]))
    async with gate.running():
        await asyncio.sleep(1)
        assert gate.store.undelivered == {1}


# Staying


async def test_a_server_that_asks_nothing() -> None:
    """If it has not asked for the containers for five minutes it has forgotten us: back in by a new registration."""
    gate = Gate(KNOWN)
    async with gate.running():
        await asyncio.sleep(100)
        gate.server.link.say({"type": "command", "id": "r1", "command": "list_containers"})
        await asyncio.sleep(310)
        assert gate.timeline()[1:] == [
            (0.0, "Registered", "connected"),
            (400.0, "ServerSilent", "backoff"),
            (401.0, "RetryDue", "registering"),
            (401.0, "Registered", "connected"),
        ]
        assert gate.server.links[0].closing == (1000, "")


async def test_a_server_that_keeps_asking() -> None:
    """As long as it asks, the session lasts."""
    gate = Gate(KNOWN)
    async with gate.running():
        for number in range(100):
            await asyncio.sleep(299)
            gate.server.link.say(
                {"type": "command", "id": f"r{number}", "command": "list_containers"}
            )
        assert len(gate.server.links) == 1


async def test_evicted() -> None:
    """Whoever is replaced by another agent comes back seldom: within a minute, then two, up to ten."""
    gate = Gate(KNOWN)
    async with gate.running():
        for _ in range(6):
            await asyncio.sleep(1)
            async with asyncio.timeout(PATIENCE_S):
                while not gate.session.is_live:
                    await gate.session.live()
            gate.server.link.hang_up(1000, "New connection established")
        await asyncio.sleep(1)
        evicted_s = [at_s for at_s, name, _ in gate.timeline() if name == "Evicted"]
        back_s = [at_s for at_s, name, _ in gate.timeline() if name == "RetryDue"]
        delays_s = [round(b - e) for e, b in zip(evicted_s, back_s, strict=False)]
        assert delays_s == [60, 120, 240, 480, 600]
