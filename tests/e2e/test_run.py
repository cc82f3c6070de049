"""The image as `docker run` starts it, in every form the docs have."""

from __future__ import annotations

import json

import pytest
from e2e.box import COMMAND, Box
from e2e.cli import docker
from e2e.patience import until
from e2e.registrations import Registrations

from agent import __version__, exit_codes
from agent.hub.replies import RequestFailed
from agent.hub.server import Hub

HARDENED = (
    *("--read-only", "--tmpfs", "/tmp"),  # noqa: S108  in the container
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
)
STOPS_WITHIN_S = 5.0


@pytest.fixture
def hardened(box: Box) -> tuple[str, ...]:
    """The flags of the form without any privilege."""
    return (*HARDENED, "--user", "1000", "--group-add", str(box.socket.stat().st_gid))


async def test_the_usual_form(box: Box, hub: Hub, registrations: Registrations) -> None:
    """With the socket, a volume, a URL and a token it registers as uid 1000, lists containers, and is healthy."""
    agent = await box.run("--restart", "unless-stopped")
    assert await registrations.reach(1) == __version__
    host = await hub.host_online(timeout_s=10)
    listed = await hub.request(host.id, "list_containers")
    assert agent.id in {container["Id"] for container in listed}
    assert {uid for uid, _, command in await agent.processes()} == {1000}

    told = await agent.exec(*COMMAND, "health")
    assert (told.status, told.text.split(":")[0]) == (0, "alive")
    assert (await agent.exec("dockmon-agent", "health")).status == 0


async def test_a_command_beside_it(box: Box, registrations: Registrations) -> None:
    """`docker exec … dockmon-agent COMMAND` runs a command of the release, unsupervised."""
    agent = await box.run()
    await registrations.reach(1)
    told = await agent.exec("dockmon-agent", "--version")
    assert (told.status, told.text) == (0, f"dockmon-agent {__version__}")
    assert "connected" in (await agent.exec("dockmon-agent", "chart")).text


async def test_the_health_check(box: Box, registrations: Registrations) -> None:
    """The image's own check says healthy while the loop moves."""
    agent = await box.run("--health-interval", "1s", "--health-start-period", "0s")
    await registrations.reach(1)

    async def is_healthy() -> bool:
        status = (await agent.inspect())["State"]["Health"]["Status"]
        return bool(status == "healthy")

    await until("healthy", is_healthy)


async def test_a_restart(box: Box, hub: Hub, registrations: Registrations) -> None:
    """`docker restart` brings back the same host with the same token, though the registration token is spent."""
    agent = await box.run()
    await registrations.reach(1)
    token = await box.fill(agent.volume, "cat /data/permanent_token")
    await agent.restart()
    await registrations.reach(2)
    assert await box.fill(agent.volume, "cat /data/permanent_token") == token
    assert len(hub.hosts) == 1


async def test_without_any_privilege(
    box: Box, hub: Hub, registrations: Registrations, hardened: tuple[str, ...]
) -> None:
    """Read-only, no capabilities, no new privileges, uid 1000 in the socket's group: it registers and is healthy."""
    agent = await box.run(*hardened)
    await registrations.reach(1)
    host = await hub.host_online(timeout_s=10)
    assert await hub.request(host.id, "list_containers")
    assert (await agent.exec("dockmon-agent", "health")).status == 0


@pytest.mark.parametrize("missing", ["SETUID", "SETGID", "CHOWN", "DAC_OVERRIDE"])
async def test_root_without_a_capability(box: Box, missing: str) -> None:
    """Started as root it needs four capabilities; the end is 78 and one line with the missing one and the other way."""
    agent = await box.run("--cap-drop", missing)
    assert await agent.ends() == exit_codes.CONFIG
    (line,) = await agent.lines()
    assert missing in line
    assert "--user 1000 --group-add" in line


async def test_a_bad_setting(box: Box) -> None:
    """A setting that cannot work is one line that names it, and the status is 78."""
    agent = await box.run(settings=box.settings() | {"DOCKMON_URL": "ftp://example.test"})
    assert await agent.ends() == exit_codes.CONFIG
    (line,) = [line for line in await agent.lines() if "launcher" not in line]
    assert "DOCKMON_URL" in line


async def test_stop(box: Box, registrations: Registrations) -> None:
    """`docker stop` ends it in good order within five seconds, with status 0."""
    agent = await box.run()
    await registrations.reach(1)
    assert await agent.stop() < STOPS_WITHIN_S
    assert await agent.ends() == exit_codes.STOPPED
    await agent.says("stopped")


async def test_stop_before_it_is_connected(box: Box) -> None:
    """So it does while it waits for a server that is not there."""
    agent = await box.run(settings=box.settings() | {"DOCKMON_URL": "ws://127.0.0.1:9"})
    await agent.says("registering -> backoff")
    assert await agent.stop() < STOPS_WITHIN_S
    assert await agent.ends() == exit_codes.STOPPED


async def test_orphans_are_reaped(box: Box, registrations: Registrations) -> None:
    """What a command in the container leaves behind leaves no zombie, for the first process reaps it."""
    agent = await box.run()
    await registrations.reach(1)
    # Each `sh` ends before its child, which then belongs to the first process and ends.
    orphans = "for n in 1 2 3 4 5 6 7 8; do sh -c 'sleep 0.3 &'; done; sleep 1"
    assert (await agent.exec("sh", "-c", orphans)).status == 0
    assert [row for row in await agent.processes() if row[1].startswith("Z")] == []


async def test_compose_in_the_image(box: Box, hub: Hub, registrations: Registrations) -> None:
    """The image brings Docker Compose, and deployments are offered."""
    await box.run()
    await registrations.reach(1)
    host = await hub.host_online(timeout_s=10)
    assert host.registration["capabilities"]["compose_deployments"] is True


async def test_the_slim_image(box: Box, hub: Hub, registrations: Registrations) -> None:
    """Without Docker Compose nothing else is missing: it registers, and offers no deployments."""
    await box.run(image=f"{box.image}-slim")
    await registrations.reach(1)
    host = await hub.host_online(timeout_s=10)
    assert host.registration["capabilities"]["compose_deployments"] is False


async def test_the_labels(box: Box) -> None:
    """Title, version, revision and licence are on the image, the version as the release has it."""
    labels = json.loads(await docker("inspect", "--format", "{{json .Config.Labels}}", box.image))
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}version"] == __version__
    assert labels[f"{prefix}licenses"] == "Apache-2.0"
    assert {f"{prefix}{name}" for name in ("title", "revision", "source")} <= set(labels)


async def test_an_update_of_its_own_container(
    box: Box, hub: Hub, registrations: Registrations
) -> None:
    """`update_container` for the agent's own container goes to the self-update, which has no keys here and says so."""
    agent = await box.run()
    await registrations.reach(1)
    host = await hub.host_online(timeout_s=10)
    with pytest.raises(RequestFailed, match="no root keys"):
        await hub.request(
            host.id,
            "update_container",
            {"container_id": agent.id[:12], "new_image": f"{box.image}9"},
        )
    assert (await agent.inspect())["State"]["Running"]
