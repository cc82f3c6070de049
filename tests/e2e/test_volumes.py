"""What an agent finds in the volume it is given."""

from __future__ import annotations

from e2e.box import Box
from e2e.registrations import Registrations

from agent.hub.server import Hub

GO_LEFTOVERS = """
rm -rf /data/..?* /data/.[!.]* /data/*
printf '%s\\n' "$1" >/data/permanent_token
echo '{"old_container_id":"0123456789ab","new_container_id":"ba9876543210"}' >/data/cleanup.json
echo '{"version":"2.2.0","new_binary_path":"/data/n","old_binary_path":"/a","timestamp":"2026-01-01T00:00:00Z"}' \
    >/data/update.lock
chown -R 0:0 /data
chmod 0755 /data
chmod 0600 /data/*
"""


async def test_owned_by_root(box: Box, hub: Hub, registrations: Registrations) -> None:
    """A volume that belongs to root is given to uid 1000 at the start, and what links lead to is left alone."""
    volume = await box.volume()
    await box.fill(
        volume,
        "mkdir -p /data/stacks/web; echo x >/data/stacks/web/file; ln -s /etc/passwd /data/link;"
        "chown -R 0:0 /data; chmod 0700 /data",
    )
    agent = await box.run(volume=volume)
    await registrations.reach(1)
    owners = await box.fill(
        volume, "stat -c '%u %n' /data /data/stacks/web/file /data/permanent_token"
    )
    assert owners.splitlines() == [
        "1000 /data",
        "1000 /data/stacks/web/file",
        "1000 /data/permanent_token",
    ]
    assert (await agent.exec("stat", "-c", "%u", "/etc/passwd")).text == "0"


async def test_taken_over_from_the_go_agent(
    box: Box, hub: Hub, registrations: Registrations
) -> None:
    """Its volume and its environment are enough: the same host, by the token it kept, and its leftovers do no harm."""
    first = await box.run()
    await registrations.reach(1)
    (host_id,) = hub.hosts
    token = await box.fill(first.volume, "cat /data/permanent_token")
    await first.stop()
    volume = await box.volume()
    await box.fill(volume, f"set -- '{token}'; {GO_LEFTOVERS}")
    settings = {
        "DOCKMON_URL": hub.url,
        "REGISTRATION_TOKEN": "spent-long-ago",
        "DOCKER_HOST": "unix:///var/run/docker.sock",
        "DATA_PATH": "/data",
        "PROTO_VERSION": "1.1",
        "RECONNECT_INITIAL": "1s",
        "RECONNECT_MAX": "60s",
        "UPDATE_TIMEOUT": "120s",
        "LOG_LEVEL": "info",
        "LOG_JSON": "true",
    }
    await box.run(volume=volume, settings=settings)
    await registrations.reach(2)
    assert list(hub.hosts) == [host_id]
    assert await box.fill(volume, "cat /data/permanent_token") == token


async def test_two_agents_on_one_volume(box: Box, registrations: Registrations) -> None:
    """The second waits and says why, and takes over when the first has ended."""
    first = await box.run()
    await registrations.reach(1)
    settings = {"DOCKMON_URL": box.hub.url, "LOG_JSON": "false", "RECONNECT_MAX": "1s"}
    second = await box.run(volume=first.volume, settings=settings)
    await second.says("another")
    assert len(registrations.versions) == 1
    await first.stop()
    await registrations.reach(2)


async def test_a_volume_mounted_read_only(box: Box, registrations: Registrations) -> None:
    """What cannot be written is told with its remedy, and the agent stays; its token is not spent."""
    volume = await box.volume()
    agent = await box.run("--volume", f"{volume}:/elsewhere:ro", "--env", "DATA_PATH=/elsewhere")
    await agent.says("/elsewhere")
    assert registrations.versions == []
