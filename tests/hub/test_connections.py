"""From the upgrade to the close: what an agent meets at the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hub.scripted_agent import dial, joined, register
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.hub.registration import RemoteHost
from agent.hub.server import Hub

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub(poll_s=None) as hub:
        yield hub


async def refused(hub: Hub, token: str, **fields: object) -> str:
    """The text that this registration is refused with; then comes 1008."""
    async with dial(hub) as agent:
        await agent.say(register(token, **fields))
        answer = await agent.hear()
        assert answer.keys() == {"type", "error"}
        assert answer["type"] == "auth_error"
        assert await agent.end() == (1008, "Authentication failed")
    error = answer["error"]
    assert isinstance(error, str)
    return error


# The upgrade


@pytest.mark.parametrize(
    "path",
    [
        "/api/agent/ws/",
        "//api/agent/ws",
        "/api/agent",
        "/",
        "/dockmon/api/agent/ws",
        "/API/agent/ws",
    ],
)
async def test_only_the_exact_path_is_upgraded(hub: Hub, path: str) -> None:
    """Also one slash too many is answered with 403."""
    with pytest.raises(InvalidStatus) as refused:
        async with dial(hub, path):
            raise AssertionError("the upgrade should have been refused")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(("compression", "agreed"), [("deflate", True), (None, False)])
async def test_compression_is_offered(hub: Hub, compression: str | None, agreed: bool) -> None:
    """Agents may take it or leave it."""
    async with connect(hub.url + "/api/agent/ws", compression=compression) as socket:
        assert socket.response is not None
        assert ("Sec-WebSocket-Extensions" in socket.response.headers) is agreed


# Registration


async def test_a_new_agent_registers(hub: Hub) -> None:
    """It learns its ids; the permanent token is the agent's id."""
    async with joined(hub, hostname="rack7", os_type="linux") as (agent, host):
        assert agent.welcome == {
            "type": "auth_success",
            "agent_id": host.agent_id,
            "host_id": host.id,
            "permanent_token": host.agent_id,
        }
        assert (host.name, host.engine_id) == ("rack7", "ENGN:AAAA:BBBB:CCCC")
        assert (host.online, host.connections, host.last_seen_at) == (True, 1, START)
        assert host.registration["os_type"] == "linux"
        assert await hub.host_online(timeout_s=1) is host


async def test_ids_can_be_made_to_repeat() -> None:
    """Hosts, agents, tokens and requests take theirs from where the test says."""
    ids = iter(["token-1", "agent-1", "host-1"])
    async with Hub(poll_s=None, new_id=lambda: next(ids)) as hub:
        assert hub.new_token() == "token-1"
        async with joined(hub, "token-1") as (_, host):
            assert (host.agent_id, host.id) == ("agent-1", "host-1")


async def test_a_returning_agent_keeps_its_host(hub: Hub) -> None:
    """It sends the same object with the permanent token; what it leaves out stays as it was."""
    async with joined(hub, hostname="rack7", os_type="linux", num_cpus=4) as (_, host):
        first = host
    async with joined(hub, host.agent_id, hostname="nas", num_cpus=8) as (agent, host):
        assert host is first
        assert agent.welcome["permanent_token"] == host.agent_id
        assert (host.name, host.connections) == ("nas", 2)
        assert host.facts == {"os_type": "linux", "num_cpus": 8}


async def test_a_permanent_token_belongs_to_one_engine(hub: Hub) -> None:
    """Whoever presents it for another engine is refused."""
    async with joined(hub) as (_, host):
        pass
    text = await refused(hub, host.agent_id, engine_id="another")
    assert text == "Permanent token does not match engine_id"


async def test_a_token_is_consumed_only_by_success(hub: Hub) -> None:
    """Refused attempts leave it good; the first host uses it up."""
    token = hub.new_token()
    assert "total_memory" in await refused(hub, token, total_memory=0)
    async with joined(hub, token):
        pass
    text = await refused(hub, token, engine_id="another")
    assert text == "Registration token has reached maximum uses"


async def test_a_token_for_many(hub: Hub) -> None:
    """A multi-use token registers any number of hosts, while it has not expired."""
    token = hub.new_token(uses=None)
    for number in range(5):
        async with joined(hub, token, engine_id=f"engine-{number}"):
            pass
    await asyncio.sleep(900)
    assert await refused(hub, token, engine_id="late") == "Registration token has expired"
    assert len(hub.hosts) == 5


async def test_unknown_tokens_and_engines(hub: Hub) -> None:
    """Each refusal has the text that the real server gives it."""
    hub.local_engine_ids.add("local")
    async with joined(hub, hostname="rack7"):
        texts = [
            await refused(hub, "who-knows"),
            await refused(hub, hub.new_token()),
            await refused(hub, hub.new_token(), engine_id="other", hostname="rack7"),
            await refused(hub, hub.new_token(), engine_id="local"),
            await refused(hub, hub.new_token(), force_unique_registration=True),
            await refused(hub, hub.new_token(), id="7"),
            await refused(hub, hub.new_token(), type="reconnect"),
        ]
    assert [text[:45] for text in texts] == [
        "Invalid registration token",
        "Agent with this engine_id is already register",
        "Agent with this engine_id is already register",
        "Migration not supported for local Docker conn",
        "FORCE_UNIQUE_REGISTRATION=true requires AGENT",
        "Invalid registration data: Extra inputs are n",
        "Invalid authentication type: reconnect",
    ]
    assert len(hub.hosts) == 1


async def test_a_remote_host_is_taken_over(hub: Hub) -> None:
    """Once: the second agent of that engine finds it gone."""
    hub.remote_hosts.append(RemoteHost("ENGN:AAAA:BBBB:CCCC", "old nas"))
    async with joined(hub, hostname="nas") as (_, host):
        assert host.name == "old nas"
    assert hub.remote_hosts == []


async def test_silence_instead_of_a_registration(hub: Hub) -> None:
    """Half a minute is granted for the first message."""
    async with dial(hub) as agent:
        error = {"type": "auth_error", "error": "Authentication timeout"}
        assert await agent.hear() == error
        assert asyncio.get_running_loop().time() == pytest.approx(30)
        assert await agent.end() == (1008, "Authentication timeout")


async def test_health_checks_follow_the_welcome(hub: Hub) -> None:
    """They are sent at connect, all of them, and only if there is one."""
    async with joined(hub) as (agent, host):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(agent.hear(), 5)
    host.health_checks = [{"container_id": "9ab3c1d2e4f5", "url": "http://localhost/"}]
    async with joined(hub, host.agent_id) as (agent, _):
        assert await agent.hear() == {
            "type": "health_check_configs_sync",
            "payload": {"configs": host.health_checks},
        }


# Ends


@pytest.mark.parametrize("frame", ["{", "[]", b"{}", '{"a": NaN}'], ids=repr)
async def test_a_malformed_frame_ends_the_connection(hub: Hub, frame: str | bytes) -> None:
    """Before the registration as after it."""
    async with dial(hub) as agent:
        await agent.socket.send(frame)
        assert await agent.end() == (1011, "Internal error")
    async with joined(hub) as (agent, host):
        await agent.socket.send(frame)
        assert await agent.end() == (1011, "Internal error")
    assert not host.online


async def test_sixteen_mebibytes_are_the_limit(hub: Hub) -> None:
    """One byte more ends the connection with 1009, however well it was compressed."""
    limit = 16 * 2**20
    async with joined(hub) as (agent, host):
        await agent.socket.send('{"type":"heartbeat","x":"%s"}' % ("x" * (limit - 27)))
        await hub.wait_for(lambda entry: entry.frame["type"] == "heartbeat", timeout_s=1)
        assert host.online
        await agent.socket.send('{"type":"heartbeat","x":"%s"}' % ("x" * (limit - 26)))
        code, _ = await agent.end()
    assert code == 1009


async def test_a_second_socket_evicts_the_first(hub: Hub) -> None:
    """The newer one stays, and the host does not go offline in between."""
    async with joined(hub) as (old, host), joined(hub, host.agent_id) as (new, same):
        assert same is host
        assert await old.end() == (1000, "New connection established")
        assert (host.online, host.connections) == (True, 2)
        asking = asyncio.gather(hub.request(host.id, "list_images"), new.answer(payload=[]))
        assert (await asking)[0] == []


async def test_a_deleted_host_keeps_its_socket(hub: Hub) -> None:
    """Nothing is routed to it any more; its next connect is refused."""
    async with joined(hub) as (agent, host):
        hub.delete_host(host.id)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(agent.socket.recv(), 300)
    assert await refused(hub, host.agent_id) == "Invalid registration token"
    async with joined(hub) as (_, successor):
        assert successor.id != host.id


async def test_a_restart(hub: Hub) -> None:
    """Everybody is closed with 1012; hosts and tokens are there again on the same port."""
    url, token = hub.url, hub.new_token()
    async with joined(hub) as (agent, host):
        stopping = asyncio.gather(hub.stop_listening(), agent.end())
        assert (await stopping)[1] == (1012, "")
        assert not host.online
        with pytest.raises(ConnectionRefusedError):
            async with dial(hub):
                raise AssertionError("nobody should have answered")
    await hub.start_listening()
    assert hub.url == url
    async with joined(hub, host.agent_id), joined(hub, token, engine_id="another"):
        assert len(hub.hosts) == 2


async def test_a_pong_may_be_twenty_seconds_late(hub: Hub) -> None:
    """Pinged every 20 s, an agent that answers stays for as long as it likes; else it is closed."""
    async with joined(hub) as (agent, host):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(agent.socket.recv(), 3610)  # half-way between two pings
        assert host.online
        agent.socket.transport.pause_reading()
        await asyncio.sleep(29)
        assert host.online
        await asyncio.sleep(2 + 10)  # and ten for the close that is not answered either
        assert (host.online, host.error) == (False, "Agent disconnected")
        agent.socket.transport.resume_reading()
        assert await agent.end() == (1011, "keepalive ping timeout")


async def test_last_seen(hub: Hub) -> None:
    """It moves on connect, disconnect and heartbeat, and on nothing else."""
    async with joined(hub) as (agent, host):
        await asyncio.sleep(10)
        await agent.say({"type": "stats", "stats": {}})
        await hub.wait_for(lambda entry: entry.frame["type"] == "stats", timeout_s=1)
        assert host.last_seen_at == START
        await agent.say({"type": "heartbeat"})
        await hub.wait_for(lambda entry: entry.frame["type"] == "heartbeat", timeout_s=1)
        assert host.last_seen_at == START + timedelta(seconds=10)
        await asyncio.sleep(10)
        await agent.socket.close()
        await asyncio.sleep(1)
    assert host.last_seen_at is not None
    assert host.last_seen_at - START == pytest.approx(timedelta(seconds=20), abs=timedelta(0, 1))


async def test_what_ends_the_block_is_what_the_test_sees() -> None:
    """An exception in the hub's block comes out as it is, not wrapped in a group."""
    with pytest.raises(KeyError):
        async with Hub(), Hub() as hub, joined(hub):
            raise KeyError("mine")


# Looking on


async def test_events_have_their_effect(hub: Hub) -> None:
    """In order of arrival; one with a correlation_id is swallowed as a reply."""
    async with joined(hub) as (agent, host):
        for action, extra in [
            ("start", {}),
            ("pause", {}),
            ("restart", {"correlation_id": "x"}),
            ("destroy", {}),
        ]:
            payload = {"container_id": "9ab3c1d2e4f5", "container_name": "web", "action": action}
            event = {"type": "event", "command": "container_event", "payload": payload}
            await agent.say({**event, **extra})
        await hub.wait_for(lambda e: e.frame.get("payload", {}).get("action") == "destroy", 1)
        assert [(e["container_name"], e["effect"], e["state"]) for e in hub.events(host.id)] == [
            ("web", "started", "running"),
            ("web", "deleted", None),
        ]


async def test_the_journal(hub: Hub) -> None:
    """Every frame with its direction; whoever listens is told at once, until it has enough."""
    heard: list[str] = []
    forget = hub.listen(lambda entry: heard.append(entry.frame["type"]))
    async with joined(hub) as (agent, host):
        await asyncio.sleep(5)
        await agent.say({"type": "heartbeat"})
        entry = await hub.wait_for(lambda e: e.frame["type"] == "heartbeat", timeout_s=1)
        assert (entry.host_id, entry.direction) == (host.id, "in")
        assert entry.at == pytest.approx(5)
        forget()
        await hub.send(host.id, {"type": "news"})
        assert await agent.hear() == {"type": "news"}
    assert heard == ["register", "auth_success", "heartbeat"]
    assert [(e.direction, e.frame["type"]) for e in hub.journal] == [
        ("in", "register"),
        ("out", "auth_success"),
        ("in", "heartbeat"),
        ("out", "news"),
    ]


async def test_waiting_looks_back_and_ahead(hub: Hub) -> None:
    """What is in the journal counts; what never comes is a timeout; a bad question fails the asker."""
    async with joined(hub) as (agent, _):
        await hub.wait_for(lambda e: e.frame["type"] == "register", timeout_s=0)
        with pytest.raises(TimeoutError):
            await hub.wait_for(lambda e: e.frame["type"] == "heartbeat", timeout_s=3600)
        asking = asyncio.gather(
            hub.wait_for(
                lambda e: e.frame["type"] == "news" or 1 / (e.frame["type"] != "heartbeat") < 0, 5
            ),
            agent.say({"type": "heartbeat"}),
            return_exceptions=True,
        )
        assert isinstance((await asking)[0], ZeroDivisionError)


async def test_waiting_for_a_host(hub: Hub) -> None:
    """The one that comes later is found, too; nobody at all is a timeout."""
    with pytest.raises(TimeoutError):
        await hub.host_online(timeout_s=60)
    waiting = asyncio.gather(hub.host_online(timeout_s=60))
    async with joined(hub) as (_, host):
        assert (await waiting)[0] is host


async def test_raw_frames(hub: Hub) -> None:
    """Whatever a test wants an agent to see can be sent; only to one that is connected."""
    async with joined(hub) as (agent, host):
        await hub.send(host.id, "no JSON")
        await hub.send(host.id, b"\x00")
        assert [await agent.socket.recv(), await agent.socket.recv()] == ["no JSON", b"\x00"]
        await agent.socket.close()
        await asyncio.sleep(1)
        with pytest.raises(LookupError):
            await hub.send(host.id, "anybody?")
