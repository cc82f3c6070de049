"""The engine adapter against an engine that hangs, refuses, breaks off and babbles."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from fakes.scripted_engine import (
    Exchange,
    ScriptedEngine,
    holding,
    replying,
    sending,
    streaming,
)

from agent.adapters.engine import DockerEngine, Endpoint
from agent.adapters.engine.errors import TEXT_MAX
from agent.adapters.engine.wire import common_version
from agent.ports import (
    Conflict,
    EngineBusy,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    Json,
    NotFound,
)

pytestmark = pytest.mark.real_time

DEADLINE_S = 10.0
SHORT_S = 0.1  # for calls that are to run into their deadline
ID = "4f1c" * 16


@contextlib.asynccontextmanager
async def engine_at(address: str) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(Endpoint.parse(address))
    try:
        yield engine
    finally:
        await engine.close()


# --- What an answer means


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (304, None),
        (400, EngineRefused),
        (403, EngineRefused),
        (404, NotFound),
        (409, Conflict),
        (500, EngineRefused),
        (301, EngineRefused),
    ],
)
async def test_a_status_becomes_an_error_of_its_kind(
    scripted: ScriptedEngine,
    engine: DockerEngine,
    status: int,
    kind: type[EngineRefused] | None,
) -> None:
    """The text is the engine's own message. That a container runs already is no error."""
    scripted.on("POST", "/containers/web/start", replying(status, {"message": "so it is"}))
    if kind is None:
        await engine.start("web", deadline_s=DEADLINE_S)
        return
    with pytest.raises(EngineRefused) as refusal:
        await engine.start("web", deadline_s=DEADLINE_S)
    assert (type(refusal.value), str(refusal.value), refusal.value.status) == (
        kind,
        "so it is",
        status,
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<html><h1>403 Forbidden</h1></html>", "HTTP 403 Forbidden"),
        ("", "HTTP 403 Forbidden"),
        ('{"cause": "none"}', "HTTP 403 Forbidden"),
        (
            "Client sent an HTTP request to an HTTPS server.\n",
            "Client sent an HTTP request to an HTTPS server.",
        ),
        (
            '{"message": "Get \\"https://ann:secret@registry.example/v2/\\": no"}',
            'Get "https://registry.example/v2/": no',
        ),
        ('{"message": "one\\n  two"}', "one two"),
    ],
)
async def test_the_text_of_an_error_is_short_and_fit_for_users(
    scripted: ScriptedEngine, engine: DockerEngine, body: str, text: str
) -> None:
    """One line, never a page of HTML, never a password."""
    scripted.on("GET", "/containers/json", replying(403, body))
    with pytest.raises(EngineRefused) as refusal:
        await engine.containers(deadline_s=DEADLINE_S)
    assert str(refusal.value) == text


async def test_a_long_message_is_cut(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """The engine may quote pages; a user gets the beginning."""
    scripted.on("GET", "/containers/json", replying(500, {"message": "x" * 10_000}))
    with pytest.raises(EngineRefused) as refusal:
        await engine.containers(deadline_s=DEADLINE_S)
    assert str(refusal.value) == "x" * (TEXT_MAX - 1) + "…"


@pytest.mark.parametrize("answer", ["no JSON", '{"not": "a list"}', "[1]"])
async def test_an_answer_that_is_none_of_an_engine(
    scripted: ScriptedEngine, engine: DockerEngine, answer: str
) -> None:
    """A good status with something else in it says that another program answers there."""
    scripted.on("GET", "/containers/json", replying(200, answer))
    with pytest.raises(EngineRefused, match=f"at {scripted.address} is no Docker engine"):
        await engine.containers(deadline_s=DEADLINE_S)


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[{",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
async def test_a_connection_that_breaks_off(
    scripted: ScriptedEngine, engine: DockerEngine, half: bytes
) -> None:
    """Half an answer is no answer: the engine is gone, and the text says where it was."""
    scripted.on("GET", "/containers/json", sending(half))
    with pytest.raises(EngineUnreachable, match=f"engine at {scripted.address} broke"):
        await engine.containers(deadline_s=DEADLINE_S)


# --- Nobody there


def test_making_an_engine_contacts_nothing(scripted: ScriptedEngine) -> None:
    """The engine may be down when the agent starts: no connection, no thread, no error."""
    threads = threading.active_count()
    DockerEngine(Endpoint.parse(scripted.address))
    assert (scripted.connections, threading.active_count()) == (0, threads)


def leave_nothing(path: Path) -> None:
    """No socket at all."""


def leave_a_directory(path: Path) -> None:
    path.mkdir()


def leave_an_old_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind(str(path))


@pytest.mark.parametrize(
    ("leave", "words"),
    [
        (leave_nothing, r"There is no socket {path}: start Docker .* \(-v {path}:{path}\)"),
        (leave_a_directory, "{path} is a directory: it was mounted before Docker"),
        (leave_an_old_socket, "Nobody listens at unix://{path}: is the engine running"),
    ],
)
async def test_a_socket_nobody_answers_at(
    tmp_path: Path, leave: Callable[[Path], None], words: str
) -> None:
    """The text tells the usual mistakes apart and says what to do."""
    path = tmp_path / "s"
    leave(path)
    async with engine_at(f"unix://{path}") as engine:
        with pytest.raises(EngineUnreachable, match=words.format(path=path)):
            await engine.facts(deadline_s=DEADLINE_S)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not")
def test_a_socket_we_may_not_use(scripted: ScriptedEngine) -> None:
    """The text names the group that would help."""
    scripted.socket_path.chmod(0o600)
    scripted.socket_path.parent.chmod(0o755)
    ask = f"""
import asyncio, os
from agent.adapters.engine import DockerEngine, Endpoint
os.setuid(65534)
try:
    asyncio.run(DockerEngine(Endpoint.parse({scripted.address!r})).facts(deadline_s=10))
except Exception as err:
    print(type(err).__name__, err)
"""
    said = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert said.startswith(f"EngineUnreachable No permission to use {scripted.socket_path}: run")
    assert f"--group-add $(stat -c %g {scripted.socket_path})" in said


async def test_an_engine_that_takes_no_more_connections(tmp_path: Path) -> None:
    """Its backlog is full, so it hangs: that is said at once, whatever the deadline."""
    path = str(tmp_path / "s")
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as first,
    ):
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        async with engine_at(path) as engine:
            with pytest.raises(EngineUnreachable, match="takes no more connections"):
                await engine.facts(deadline_s=3600)


async def test_a_network_that_swallows_everything() -> None:
    """No refusal and no connection, as behind a firewall: that is an engine out of reach, not a slow one."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):  # what is over the backlog is not answered
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        async with engine_at(f"tcp://127.0.0.1:{listener.getsockname()[1]}") as engine:
            with pytest.raises(EngineUnreachable, match="takes no connection"):
                await engine.facts(deadline_s=SHORT_S)


async def test_a_port_nobody_listens_at() -> None:
    """The same over the network, with the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        async with engine_at(address) as engine:
            with pytest.raises(EngineUnreachable, match=r"Nobody listens at http://127\.0\.0\.1"):
                await engine.facts(deadline_s=DEADLINE_S)


async def test_a_host_name_nobody_knows() -> None:
    """A name that cannot be resolved is told apart from a host that is down."""
    async with engine_at("tcp://engine.invalid") as engine:
        with pytest.raises(EngineUnreachable, match=r"host name in http://engine\.invalid"):
            await engine.facts(deadline_s=DEADLINE_S)


async def test_the_way_to_the_server_is_not_the_way_to_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy in the environment is for the server; the engine is asked directly."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with ScriptedEngine(tcp=True) as scripted:
        scripted.on("GET", "/containers/json", replying(200, []))
        async with engine_at(scripted.address) as engine:
            assert await engine.containers(deadline_s=DEADLINE_S) == []


async def test_a_broken_docker_configuration_is_named_and_not_quoted(
    scripted: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker's config.json holds passwords: what is wrong with it is not repeated."""
    (tmp_path / "config.json").write_text('{"auths": {"registry.example": {"auth": "c2VjcmV0"}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    async with engine_at(scripted.address) as engine:
        with pytest.raises(EngineUnreachable, match=r"configuration .* cannot be read") as failure:
            await engine.facts(deadline_s=DEADLINE_S)
    assert "secret" not in str(failure.value)


# --- Deadlines


async def test_an_engine_that_hangs(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """It took the request and says nothing: that is a timeout, and not an engine that is gone."""
    scripted.on("GET", "/containers/json", holding)
    with pytest.raises(EngineTimeout, match=f"{scripted.address} did not answer within 0.1 s"):
        await engine.containers(deadline_s=SHORT_S)


async def test_an_engine_that_never_gets_done(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Never silent and never finished: the deadline is for the whole, and the connection is given up."""

    def drip(exchange: Exchange) -> None:
        exchange.begin_stream()
        with contextlib.suppress(OSError):
            while not exchange.engine.let_go.wait(0.05):
                exchange.chunk(b" ")
        exchange.engine.hung_up.set()

    scripted.on("GET", "/containers/json", drip)
    with pytest.raises(EngineTimeout):
        await engine.containers(deadline_s=SHORT_S)
    await scripted.until_hung_up()
    assert not scripted.let_go.is_set()


async def test_no_time_at_all_is_a_timeout(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """A deadline that has passed before the call began is answered like any other."""
    scripted.on("GET", "/containers/json", holding)
    with pytest.raises(EngineTimeout):
        await engine.containers(deadline_s=0)


async def test_a_hanging_call_does_not_keep_the_interpreter(scripted: ScriptedEngine) -> None:
    """The agent can always end, whatever its threads wait for."""
    scripted.on("GET", "/containers/json", holding)
    leave = f"""
import asyncio
from agent.adapters.engine import DockerEngine, Endpoint
async def main():
    engine = DockerEngine(Endpoint.parse({scripted.address!r}))
    asyncio.ensure_future(engine.containers(deadline_s=3600))
    while True:
        await asyncio.sleep(0.01)
        if b"go" in await asyncio.get_running_loop().run_in_executor(None, input_line):
            return
def input_line():
    import sys
    return sys.stdin.buffer.readline()
asyncio.run(main())
print("left")
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", leave), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    await scripted.until_held(1)
    async with asyncio.timeout(DEADLINE_S):
        said, _ = await process.communicate(b"go\n")
    assert (said, process.returncode) == (b"left\n", 0)


# --- Too much at once


async def test_a_full_pool_is_said_at_once(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """Four operations run and sixteen wait; the next is refused, and reads are not concerned."""
    scripted.on("POST", "/containers/web/stop", holding)
    scripted.on("GET", "/containers/json", replying(200, []))
    stops = [
        asyncio.ensure_future(engine.stop("web", timeout_s=1, deadline_s=DEADLINE_S))  # noqa: TID251  a test's own
        for _ in range(20)
    ]
    await scripted.until_held(4)
    with pytest.raises(EngineBusy, match="4 operations are under way"):
        await engine.stop("web", timeout_s=1, deadline_s=DEADLINE_S)
    assert await engine.containers(deadline_s=DEADLINE_S) == []
    scripted.let_go.set()
    await asyncio.gather(*stops, return_exceptions=True)
    scripted.on("POST", "/containers/web/stop", replying(204, ""))
    await engine.stop("web", timeout_s=1, deadline_s=DEADLINE_S)


async def test_a_call_that_waited_in_vain_is_not_sent(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Out of time before a thread was free: the error says nothing was sent, and nothing is later."""
    scripted.on("POST", "/containers/web/start", holding)
    scripted.on("POST", "/containers/late/start", replying(204, ""))
    running = [
        asyncio.ensure_future(engine.start("web", deadline_s=DEADLINE_S))  # noqa: TID251  a test's own
        for _ in range(4)
    ]
    await scripted.until_held(4)
    with pytest.raises(EngineBusy, match="nothing was sent"):
        await engine.start("late", deadline_s=SHORT_S)
    scripted.let_go.set()
    await asyncio.gather(*running, return_exceptions=True)
    await engine.close()
    assert "/containers/late/start" not in scripted.paths()


async def test_cancelled_calls_give_their_places_back(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Waiting ones at once, running ones when the engine answers."""
    scripted.on("POST", "/containers/web/start", holding)
    calls = [
        asyncio.ensure_future(engine.start("web", deadline_s=DEADLINE_S))  # noqa: TID251  a test's own
        for _ in range(20)
    ]
    await scripted.until_held(4)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    assert all(call.cancelled() for call in calls)
    scripted.on("POST", "/containers/web/start", replying(204, ""))
    again = [engine.start("web", deadline_s=DEADLINE_S) for _ in range(16)]
    scripted.let_go.set()
    await asyncio.gather(*again)
    assert len(scripted.paths()) == 4 + 16


async def test_closing_refuses_what_waits_and_what_comes(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """A call under way is left to its own deadline; no thread is kept for another."""
    scripted.on("POST", "/containers/web/start", holding)
    calls = [
        asyncio.ensure_future(engine.start("web", deadline_s=DEADLINE_S))  # noqa: TID251  a test's own
        for _ in range(5)
    ]
    await scripted.until_held(4)
    await engine.close()
    with pytest.raises(EngineUnreachable, match="shutting down"):
        await calls[4]
    with pytest.raises(EngineUnreachable, match="shutting down"):
        await engine.start("web", deadline_s=DEADLINE_S)
    assert not any(call.done() for call in calls[:4])
    scripted.let_go.set()
    await asyncio.gather(*calls[:4], return_exceptions=True)


# --- What is sent


async def test_one_connection_serves_any_number_of_containers(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Calls one after another share a connection, whatever they ask about, errors included."""
    for number in range(30):
        scripted.on("GET", f"/containers/c{number}/json", replying(200, {}))
        await engine.inspect_container(f"c{number}", deadline_s=DEADLINE_S)
        with pytest.raises(NotFound):
            await engine.inspect_container("none", deadline_s=DEADLINE_S)
    assert scripted.connections == 1


async def test_the_version_is_negotiated_once_and_again_after_a_break(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """An engine that went away may have been upgraded meanwhile."""
    scripted.on("GET", "/containers/json", replying(200, []))
    await engine.containers(deadline_s=DEADLINE_S)
    await engine.containers(deadline_s=DEADLINE_S)
    scripted.on("GET", "/containers/json", sending(b""))
    with pytest.raises(EngineUnreachable):
        await engine.containers(deadline_s=DEADLINE_S)
    scripted.on("GET", "/version", replying(200, {"Version": "25", "ApiVersion": "1.44"}))
    scripted.on("GET", "/containers/json", replying(200, []))
    await engine.containers(deadline_s=DEADLINE_S)
    assert [asked.api for asked in scripted.asked] == ["", "1.41", "1.41", "1.41", "", "1.44"]


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}, "1.41"),
        ({"ApiVersion": "1.99", "MinAPIVersion": "1.24"}, "1.45"),
        ({"ApiVersion": "1.99", "MinAPIVersion": "1.50"}, "1.50"),
        ({"ApiVersion": "1.40", "MinAPIVersion": None}, "1.40"),
    ],
)
def test_the_newest_version_both_know_is_spoken(answer: dict[str, object], version: str) -> None:
    """Not newer than the client library knows, unless the engine insists."""
    assert common_version(answer) == version


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"ApiVersion": "1.23"}, "speaks API 1.23; the agent needs 1.24 or newer"),
        ({"Version": "20.10"}, "no API version"),
        ({"ApiVersion": "new"}, "no API version"),
    ],
)
def test_an_engine_too_old_or_none_at_all(answer: dict[str, object], words: str) -> None:
    """The text says which version is needed."""
    with pytest.raises(EngineRefused, match=words):
        common_version(answer)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../info", "web/../../info", "web?x=1", "a b", "ä"]
)
async def test_what_cannot_be_a_name_is_never_part_of_a_path(
    scripted: ScriptedEngine, engine: DockerEngine, name: str
) -> None:
    """There is no such container or image, and the engine is not even asked."""
    with pytest.raises(NotFound, match="No such container"):
        await engine.remove(name, force=True, deadline_s=DEADLINE_S)
    with pytest.raises(NotFound, match="No such image"):
        await engine.inspect_image(name, deadline_s=DEADLINE_S)
    assert scripted.asked == []


@pytest.mark.parametrize(
    "image", ["busybox", "registry.example:5000/a/b:1.0", f"a@sha256:{ID}", f"sha256:{ID}"]
)
async def test_images_have_any_kind_of_reference(
    scripted: ScriptedEngine, engine: DockerEngine, image: str
) -> None:
    """Names, tags, digests and IDs arrive as they are."""
    scripted.on("GET", f"/images/{image}/json", replying(200, {"Id": ID}))
    assert await engine.inspect_image(image, deadline_s=DEADLINE_S) == {"Id": ID}


async def test_a_container_is_created_from_the_very_body(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Nulls, empty lists and keys that no library knows reach the engine."""
    scripted.on("POST", "/containers/create", replying(201, {"Id": ID, "Warnings": []}))
    config: Json = {"Image": "busybox", "Env": None, "Cmd": [], "HostConfig": {"Newest": {"A": 1}}}
    assert await engine.create(config, "web", deadline_s=DEADLINE_S) == ID
    assert (scripted.asked[-1].body, scripted.asked[-1].query) == (config, {"name": "web"})
    await engine.create(config, None, deadline_s=DEADLINE_S)
    assert scripted.asked[-1].query == {}


async def test_an_engine_that_creates_without_telling_the_id(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """An answer without an ID is none of an engine."""
    scripted.on("POST", "/containers/create", replying(201, {}))
    with pytest.raises(EngineRefused, match="is no Docker engine"):
        await engine.create({}, None, deadline_s=DEADLINE_S)


Order = Callable[[DockerEngine], Awaitable[None]]
ORDERS: list[tuple[Order, str, str, dict[str, str]]] = [
    (lambda e: e.start("web", deadline_s=9), "POST", "/containers/web/start", {}),
    (
        lambda e: e.stop("web", timeout_s=7, deadline_s=9),
        "POST",
        "/containers/web/stop",
        {"t": "7"},
    ),
    (
        lambda e: e.restart("web", timeout_s=0, deadline_s=9),
        "POST",
        "/containers/web/restart",
        {"t": "0"},
    ),
    (lambda e: e.kill("web", deadline_s=9), "POST", "/containers/web/kill", {}),
    (
        lambda e: e.rename("web", "new", deadline_s=9),
        "POST",
        "/containers/web/rename",
        {"name": "new"},
    ),
    (
        lambda e: e.remove("web", force=True, deadline_s=9),
        "DELETE",
        "/containers/web",
        {"force": "1", "v": "0"},
    ),
    (
        lambda e: e.remove("web", force=False, deadline_s=9),
        "DELETE",
        "/containers/web",
        {"force": "0", "v": "0"},
    ),
]


@pytest.mark.parametrize(("order", "method", "path", "query"), ORDERS)
async def test_each_operation_is_one_request(
    scripted: ScriptedEngine,
    engine: DockerEngine,
    order: Order,
    method: str,
    path: str,
    query: dict[str, str],
) -> None:
    """Volumes are never removed along with a container."""
    scripted.on(method, path, replying(204, ""))
    await order(engine)
    asked = scripted.asked[-1]
    assert (asked.method, asked.path, asked.query) == (method, path, query)


# --- Facts

INFO = {"ID": "TVH4:ZDDA", "Name": "vm", "MemTotal": 8321499136, "NCPU": 4, "OSType": "linux"}
NETWORKS = [
    {
        "Name": "bridge",
        "Driver": "bridge",
        "Created": "2026-01-01T00:00:00.5Z",
        "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}, {"Gateway": "172.17.0.1"}]},
    },
    {"Name": "host", "Driver": "host", "IPAM": {"Config": None}},
    {"Name": "lan", "Driver": "macvlan", "IPAM": {"Config": [{"Subnet": "192.168.1.0/24"}]}},
]


async def test_facts_of_a_docker_engine(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """A macvlan's subnet is the host's own network, and not one of containers."""
    scripted.on("GET", "/info", replying(200, INFO))
    scripted.on("GET", "/networks", replying(200, NETWORKS))
    facts = await engine.facts(deadline_s=DEADLINE_S)
    assert (facts.engine_id, facts.name, facts.version) == ("TVH4:ZDDA", "vm", "20.10")
    assert (facts.total_memory_bytes, facts.num_cpus) == (8321499136, 4)
    assert (facts.bridge_created_at, facts.subnets) == (
        "2026-01-01T00:00:00.5Z",
        ("172.17.0.0/16",),
    )
    assert not facts.is_podman


async def test_facts_of_podman(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """It is told by its components, and has no network named bridge."""
    podman = {"Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}
    scripted.on("GET", "/version", replying(200, podman))
    scripted.on("GET", "/info", replying(200, INFO))
    scripted.on("GET", "/networks", replying(200, [{"Name": "podman", "Driver": "bridge"}]))
    facts = await engine.facts(deadline_s=DEADLINE_S)
    assert (facts.is_podman, facts.version, facts.bridge_created_at) == (True, "4.3.1", "")


async def test_facts_that_are_not_told(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """Zero memory is none told; a proxy may forbid the networks; the rest is empty."""
    scripted.on("GET", "/info", replying(200, {"ID": "TVH4", "MemTotal": 0, "NCPU": None}))
    scripted.on("GET", "/networks", replying(403, "<html>"))
    facts = await engine.facts(deadline_s=DEADLINE_S)
    assert (facts.total_memory_bytes, facts.num_cpus, facts.name) == (None, None, "")
    assert (facts.bridge_created_at, facts.subnets) == ("", ())


async def test_facts_ask_for_the_version_afresh(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """They are asked when an engine is back; what it speaks now is spoken from then on."""
    scripted.on("GET", "/info", replying(200, INFO))
    scripted.on("GET", "/networks", replying(200, NETWORKS))
    await engine.facts(deadline_s=DEADLINE_S)
    scripted.on("GET", "/version", replying(200, {"Version": "25", "ApiVersion": "1.44"}))
    assert (await engine.facts(deadline_s=DEADLINE_S)).version == "25"
    assert scripted.asked[-1].api == "1.44"


async def test_an_engine_without_an_id(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """The server knows a host by it, so there is nothing to be told without."""
    scripted.on("GET", "/info", replying(200, {"Name": "vm"}))
    with pytest.raises(EngineRefused, match="does not tell its ID"):
        await engine.facts(deadline_s=DEADLINE_S)


# --- Logs


async def test_a_log_is_the_raw_stream(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """What was asked for, byte for byte; the newest frames when it is too much."""
    frames = [b"\1\0\0\0\0\0\0\5line%d" % number for number in range(5)]
    scripted.on("GET", "/containers/web/logs", streaming(*frames))
    log = await engine.logs("web", tail=100, since="1767225600.5", max_bytes=1000, deadline_s=9)
    assert log == b"".join(frames)
    assert scripted.asked[-1].query == {
        "stdout": "1",
        "stderr": "1",
        "timestamps": "1",
        "tail": "100",
        "since": "1767225600.5",
    }
    short = await engine.logs("web", tail=100, since=None, max_bytes=30, deadline_s=9)
    assert short == b"".join(frames[-2:])
    assert "since" not in scripted.asked[-1].query
