"""What can be wrong around the agent, each as its user meets it: one clear line, and the behaviour the docs promise."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from integration.agent_process import AgentProcess

from agent import exit_codes
from agent.hub.server import Hub

NO_ENGINE = "unix:///nowhere/docker.sock"


BAD_SETTINGS = [
    pytest.param({"DOCKMON_URL": ""}, "DOCKMON_URL", id="no URL"),
    pytest.param({"DOCKMON_URL": "ftp://example.test"}, "DOCKMON_URL", id="an odd URL"),
    pytest.param({"RECONNECT_INITIAL": "soon"}, "RECONNECT_INITIAL", id="an odd duration"),
    pytest.param({"LOG_LEVEL": "chatty"}, "LOG_LEVEL", id="an odd level"),
    pytest.param({"REGISTRATION_TOKEN": "no token!"}, "REGISTRATION_TOKEN", id="an odd token"),
    pytest.param({"REGISTRATION_TOKEN": ""}, "REGISTRATION_TOKEN", id="no token at all"),
    pytest.param({"DOCKER_HOST": "ssh://somewhere"}, "DOCKER_HOST", id="an engine over ssh"),
    pytest.param({"DOCKMON_CA_CERT": "/nowhere/ca.pem"}, "DOCKMON_CA_CERT", id="no CA file"),
    pytest.param({"FORCE_UNIQUE_REGISTRATION": "true"}, "AGENT_NAME", id="unique without a name"),
]


@pytest.mark.parametrize(("change", "named"), BAD_SETTINGS)
async def test_bad_settings_end_it(
    settings: dict[str, str], change: dict[str, str], named: str
) -> None:
    """A setting that cannot work is told in one line that names it, and the status is 78."""
    async with AgentProcess(settings | change) as agent:
        assert await agent.ends() == exit_codes.CONFIG
        (line,) = agent.lines
        assert named in line
        assert "no token!" not in line


async def test_an_odd_boolean_is_told_and_passed_over(settings: dict[str, str]) -> None:
    """`LOG_JSON=perhaps` leaves the default and one warning, as the variable's old users expect."""
    async with AgentProcess(settings | {"LOG_JSON": "perhaps"}) as agent:
        assert '"level":"warn"' in (await agent.says("LOG_JSON")).replace(" ", "")
        await agent.says("connected")


async def test_a_bad_token_waits_for_a_good_one(
    settings: dict[str, str], hub: Hub, tmp_path: Path
) -> None:
    """A refused token is told with its remedy; the agent stays, and a better one in its file lets it in."""
    file = tmp_path / "token"
    file.write_text("not-a-token-of-this-server")
    del settings["REGISTRATION_TOKEN"]
    async with AgentProcess(settings | {"REGISTRATION_TOKEN_FILE": str(file)}) as agent:
        line = await agent.says("registering -> unregistered")
        assert "Invalid registration token" in line
        assert "create a new registration token" in line
        file.write_text(hub.new_token())
        await agent.says("registering -> connected", within_s=30)


async def test_an_unreachable_server(settings: dict[str, str]) -> None:
    """A refused connection is told with the address and what to check; the agent goes on trying."""
    async with AgentProcess(settings | {"DOCKMON_URL": "ws://127.0.0.1:9"}) as agent:
        line = await agent.says("registering -> backoff")
        assert "127.0.0.1:9 refused the connection" in line
        assert "is the server running" in line


async def test_a_name_that_does_not_resolve(settings: dict[str, str]) -> None:
    """A name without an address is told as such."""
    async with AgentProcess(settings | {"DOCKMON_URL": "ws://nowhere.invalid"}) as agent:
        line = await agent.says("registering -> backoff", within_s=60)
        assert "nowhere.invalid:80" in line
        assert "DOCKMON_URL" in line


async def test_an_unwritable_data_directory(
    settings: dict[str, str], hub: Hub, tmp_path: Path
) -> None:
    """The single-use token is not spent while its result could not be kept; once it can, the agent registers."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    path = blocked / "data"
    async with AgentProcess(settings | {"DATA_PATH": str(path), "RECONNECT_MAX": "1s"}) as agent:
        line = await agent.says("registering -> backoff")
        assert "data directory" in line
        assert str(path) in line
        assert not hub.hosts
        blocked.unlink()
        await agent.says("registering -> connected")
        assert (path / "permanent_token").stat().st_mode & 0o777 == 0o600


async def test_no_engine_at_first(settings: dict[str, str], hub: Hub) -> None:
    """Without an engine ID there is nothing to register with: the agent stays and says what is missing."""
    async with AgentProcess(settings | {"DOCKER_HOST": NO_ENGINE}) as agent:
        line = await agent.says("engine: down")
        assert "/nowhere/docker.sock" in line
        assert not hub.hosts


async def test_no_engine_later(settings: dict[str, str], hub: Hub) -> None:
    """A known host registers without its engine, and its list is an error that names the engine, never empty."""
    async with AgentProcess(settings) as agent:
        await agent.says("registering -> connected")
    async with AgentProcess(settings | {"DOCKER_HOST": NO_ENGINE}) as agent:
        await agent.says("registering -> connected")
        host = await hub.host_online(timeout_s=10)
        with pytest.raises(Exception, match=r"/nowhere/docker\.sock"):
            await hub.request(host.id, "list_containers")


async def test_garbage_from_the_server(settings: dict[str, str], hub: Hub) -> None:
    """A frame that is no message is told and passed over; the session goes on."""
    async with AgentProcess(settings) as agent:
        await agent.says("registering -> connected")
        host = await hub.host_online(timeout_s=10)
        await hub.send(host.id, "}{")
        await agent.says("cannot be read: not JSON")
        with pytest.raises(Exception, match="unknown command: frobnicate"):
            await hub.request(host.id, "frobnicate")


async def test_a_frame_above_64_mib(settings: dict[str, str], hub: Hub) -> None:
    """It is not taken: the agent closes with 1009, says so, and is back."""
    async with AgentProcess(settings | {"RECONNECT_MAX": "1s"}) as agent:
        await agent.says("registering -> connected")
        host = await hub.host_online(timeout_s=10)
        await hub.send(host.id, "x" * (64 * 1024 * 1024 + 1))
        assert "1009" in await agent.says("connected -> backoff")
        await agent.says("backoff -> registering")


async def test_a_malformed_payload(settings: dict[str, str], hub: Hub) -> None:
    """A request whose payload cannot be right is answered with an error at once, not left to its timeout."""
    async with AgentProcess(settings) as agent:
        await agent.says("registering -> connected")
        host = await hub.host_online(timeout_s=10)
        with pytest.raises(Exception, match="malformed"):
            await hub.request(host.id, "start", {"container_id": 7}, timeout_s=5)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_in_good_order(
    settings: dict[str, str], hub: Hub, signum: signal.Signals
) -> None:
    """Within five seconds: a close frame with 1000, the end, status 0."""
    async with AgentProcess(settings) as agent:
        await agent.says("registering -> connected")
        await hub.host_online(timeout_s=10)
        agent.send_signal(signum)
        assert await agent.ends(within_s=5) == exit_codes.STOPPED
        await agent.says("stopped")


async def test_health(settings: dict[str, str]) -> None:
    """The loop answers on its socket, whatever the server does."""
    async with AgentProcess(settings | {"DOCKMON_URL": "ws://127.0.0.1:9"}) as agent:
        await agent.says("registering -> backoff")
        asked = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent", "health"),
            cwd=Path(__file__).parents[2],
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await asked.communicate()
        assert asked.returncode == 0
        assert said.startswith(b"alive: lifecycle ")
