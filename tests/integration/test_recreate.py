"""Containers as users start them, made once more on a real engine: it takes what is asked, and they are the same."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import docker
import pytest
from engine import NAME_PREFIX
from integration.asked_networks import networks_of

from agent.adapters.engine import DockerEngine, Endpoint
from agent.core.dependents import Moved, depends, redirected
from agent.core.recreate import recreated
from agent.ports import Json

CLI_DEADLINE_S = 60
DEADLINE_S = 30
IDLE = "trap 'exit 0' TERM; sleep 3600 & wait"
MAC = "52:54:00:31:41:59"

BEFORE: Json = {
    "Env": ["PATH=/bin", "LANG=C", "MODE=slow"],
    "Labels": {"maintainer": "us", "release": "1"},
    "Entrypoint": ["sh", "-c"],
    "Cmd": [IDLE],
    "WorkingDir": "/tmp",  # noqa: S108  inside a container
    "User": "0:0",
    "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
    "Volumes": {"/data": {}},
    "StopSignal": "SIGTERM",
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 60_000_000_000},
}
AFTER: Json = {
    "Env": ["PATH=/bin:/sbin", "LANG=C.UTF-8", "MODE=fast", "NEW=1"],
    "Labels": {"maintainer": "them", "release": "2"},
    "Entrypoint": ["/bin/sh", "-c"],
    "Cmd": [f"true; {IDLE}"],
    "WorkingDir": "/bin",
    "User": "0",
    "ExposedPorts": {"82/tcp": {}},
    "Volumes": {"/data": {}, "/more": {}},
    "StopSignal": "SIGINT",
    "Healthcheck": {"Test": ["CMD", "test", "-d", "/"], "Interval": 90_000_000_000},
}


async def cli(*args: str) -> str:
    """Runs `docker` and returns what it printed."""
    process = await asyncio.create_subprocess_exec(
        *("docker", *args), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(CLI_DEADLINE_S):
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode().strip()


@dataclass
class Bench:
    """Containers, volumes and networks of one test, which are gone after it."""

    engine: DockerEngine
    images: tuple[str, str]
    prefix: str = field(default_factory=lambda: f"{NAME_PREFIX}{secrets.token_hex(4)}-")
    containers: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)

    async def run(self, name: str, options: Sequence[str], *command: str) -> Json:
        """`docker run`; returns the inspection."""
        made = await self.create(name, options, *command)
        await self.engine.start(made["Id"], deadline_s=DEADLINE_S)
        # Some of what the engine reports, it fills in at the start.
        return await self.inspect(made["Id"])

    async def create(self, name: str, options: Sequence[str], *command: str) -> Json:
        """`docker create`; returns the inspection. "{prefix}" in an option is that of all names."""
        full_name = self.prefix + name
        self.containers.append(full_name)
        words = ["create", "--name", full_name, *options, self.images[0], *command]
        await cli(*(word.format(prefix=self.prefix) for word in words))
        return await self.inspect(full_name)

    async def network(self, name: str, *options: str) -> str:
        self.networks.append(self.prefix + name)
        return await cli("network", "create", *options, self.prefix + name)

    async def inspect(self, container: str) -> Json:
        return await self.engine.inspect_container(container, deadline_s=DEADLINE_S)

    async def again(
        self, old: Json, image: str, *, replaces: tuple[Json, str] | None = None
    ) -> Json:
        """Takes `old` away, makes it once more, and starts it if it ran; returns the inspection.

        Args:
            replaces: The inspection of the container that it depended on, and the ID of its successor.
        """
        recreation = recreated(
            old,
            await self.engine.inspect_image(old["Image"], deadline_s=DEADLINE_S),
            image,
            api=await self.engine.api_version(deadline_s=DEADLINE_S),
            labels={},
        )
        config = recreation.config
        if replaces is not None:
            gone, new_id = replaces
            name = gone["Name"][1:]
            assert depends(old, on_id=gone["Id"], on_name=name)
            config = redirected(config, Moved(gone["Id"], name, f"{name}-old", new_id))
        aside = f"{recreation.name}-old"
        self.containers.append(aside)
        await self.engine.rename(old["Id"], aside, deadline_s=DEADLINE_S)
        await self.engine.stop(old["Id"], timeout_s=0, deadline_s=DEADLINE_S)
        new_id = await self.engine.create(config, recreation.name, deadline_s=DEADLINE_S)
        for network, endpoint in recreation.networks:
            await self.engine.connect(network, new_id, endpoint, deadline_s=DEADLINE_S)
        if old["State"]["Running"]:
            await self.engine.start(new_id, deadline_s=DEADLINE_S)
        return await self.inspect(new_id)

    def clean_up(self, client: docker.APIClient) -> None:
        volumes: set[str] = set()
        for container in self.containers:
            with contextlib.suppress(docker.errors.NotFound):
                mounts = client.inspect_container(container)["Mounts"]
                volumes |= {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
                client.remove_container(container, force=True)
        for volume in volumes:
            client.remove_volume(volume)
        for network in self.networks:
            client.remove_network(network)


@pytest.fixture(scope="module")
def images(docker_client: docker.APIClient, busybox_image: str) -> Iterator[tuple[str, str]]:
    """Two releases of one program, which agree on as little as possible."""
    repository = "dockmon-agent-test/recreate"
    made = []
    for config in (BEFORE, AFTER):
        tag = secrets.token_hex(4)
        base = docker_client.create_container(busybox_image)
        docker_client.commit(base, repository, tag, conf=config)
        docker_client.remove_container(base)
        made.append(f"{repository}:{tag}")
    yield made[0], made[1]
    for image in made:
        docker_client.remove_image(image)


@pytest.fixture
async def bench(
    engine_url: str, docker_client: docker.APIClient, images: tuple[str, str]
) -> AsyncIterator[Bench]:
    if shutil.which("docker") is None:
        pytest.skip("the docker command, which starts containers as users do, is not on PATH")
    engine = DockerEngine(Endpoint.parse(engine_url))
    bench = Bench(engine, images)
    yield bench
    await engine.close()
    bench.clean_up(docker_client)


def shape(inspected: Json) -> Json:
    """What of an inspection must not differ."""
    short_id = inspected["Id"][:12]
    config, host = dict(inspected["Config"]), dict(inspected["HostConfig"])
    if config["Hostname"] == short_id:
        del config["Hostname"]
    # A volume without a name has one the second time; "mounts" has all that counts.
    host.pop("Mounts", None)
    return {
        "Name": inspected["Name"],
        "Config": config,
        "HostConfig": host,
        "mounts": sorted(
            (
                mount["Destination"],
                mount["Type"],
                mount.get("Name", mount["Source"]),
                mount["RW"],
                mount["Propagation"],
            )
            for mount in inspected["Mounts"]
        ),
        "networks": networks_of(inspected),
    }


def case(name: str, *options: str, command: tuple[str, ...] = (), starts: bool = True) -> Any:
    """`starts` is False for what not every host allows."""
    return pytest.param(options, command, starts, id=name)


PLAIN = ("--network", "none")


@pytest.mark.parametrize(
    ("options", "command", "starts"),
    [
        case("nothing", *PLAIN),
        case(
            "env and labels", *PLAIN, "-e", "MODE=x", "-e", "A=b=c", "-e", "E=", "-l", "release=7"
        ),
        case("command", *PLAIN, command=(f"echo; {IDLE}",)),
        case("the image's own command", *PLAIN, command=(IDLE,)),
        case("entrypoint", *PLAIN, "--entrypoint", "/bin/sleep", command=("3600",)),
        case("no entrypoint", *PLAIN, "--entrypoint", "", command=("sleep", "3600")),
        case("user and directory", *PLAIN, "-u", "1000:1000", "-w", "/", "--group-add", "27"),
        case("names", *PLAIN, "--hostname", "web1", "--domainname", "lan"),
        case("health check", *PLAIN, "--health-cmd", "true", "--health-start-period", "3s"),
        case("a part of a health check", *PLAIN, "--health-interval", "5s"),
        case("no health check", *PLAIN, "--no-healthcheck"),
        case("ends", *PLAIN, "--stop-signal", "SIGINT", "--stop-timeout", "3"),
        case("restarts", *PLAIN, "--restart", "on-failure:3"),
        case("terminal", *PLAIN, "--tty", "--interactive", "--init"),
        case("no log", *PLAIN, "--log-driver", "none"),
        case("log", *PLAIN, "--log-opt", "max-size=1m", "--log-opt", "max-file=2"),
        case("read-only", *PLAIN, "--read-only", "--tmpfs", "/run:size=1m,mode=700"),
        case(
            "binds",
            *PLAIN,
            *("-v", "/usr/share:/a:ro", "-v", "/usr/share:/b:rprivate", "-v", "/etc/hostname:/c"),
            *("--mount", "type=bind,source=/usr,target=/d,bind-propagation=rprivate,readonly"),
        ),
        case("named volumes", *PLAIN, "-v", "{prefix}v:/a:ro", "-v", "{prefix}w:/b:nocopy"),
        case(
            "mounts",
            *PLAIN,
            *("--mount", "type=volume,source={prefix}v,target=/a,readonly"),
            *("--mount", "type=tmpfs,target=/b,tmpfs-size=1048576"),
        ),
        case(
            "anonymous volumes",
            *PLAIN,
            *("-v", "/a", "-v", "/with space", "--mount", "type=volume,target=/b,volume-nocopy"),
            *("--mount", "type=volume,target=/c,volume-label=x=y"),
        ),
        case(
            "memory",
            *PLAIN,
            *("--memory", "64m", "--memory-reservation", "32m", "--memory-swap", "128m"),
            *("--memory-swappiness", "10", "--shm-size", "1m", "--oom-score-adj", "100"),
        ),
        case("CPUs", *PLAIN, "--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0"),
        case("CPU quota", *PLAIN, "--cpu-period", "50000", "--cpu-quota", "10000"),
        case("limits", *PLAIN, "--pids-limit", "50", "--ulimit", "nofile=256:512"),
        case(
            "security",
            *PLAIN,
            *("--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--sysctl", "kernel.msgmax=8192"),
            *("--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined"),
        ),
        case("nothing masked", *PLAIN, "--security-opt", "systempaths=unconfined"),
        case("privileged", *PLAIN, "--privileged", starts=False),
        case(
            "devices",
            *PLAIN,
            *("--device", "/dev/null:/dev/x:r", "--device-cgroup-rule", "c 10:200 rwm"),
        ),
        case(
            "the host's own",
            *("--network", "host", "--pid", "host", "--ipc", "host", "--uts", "host"),
            *("--userns", "host"),
        ),
        case("the host's network", "--network", "host", "--hostname", "web1"),
    ],
)
async def test_a_container_comes_back_the_same(
    bench: Bench, options: tuple[str, ...], command: tuple[str, ...], starts: bool
) -> None:
    """With the same image nothing differs, and its volumes are the very same ones."""
    old = await (bench.run if starts else bench.create)("web", options, *command)
    new = await bench.again(old, bench.images[0])
    assert shape(new) == shape(old)
    assert new["Id"] != old["Id"]


async def test_another_image_has_its_own_way(bench: Bench) -> None:
    """All that the old one brought is gone, all that the operator set has stayed."""
    options = [*PLAIN, "-e", "MODE=mine", "-l", "a=b", "-w", "/etc", "--health-retries", "7"]
    old = await bench.run("web", options)
    config = (await bench.again(old, bench.images[1]))["Config"]
    assert config["Image"] == bench.images[1]
    assert sorted(config["Env"]) == ["LANG=C.UTF-8", "MODE=mine", "NEW=1", "PATH=/bin:/sbin"]
    assert config["Labels"].items() >= {"a": "b", "maintainer": "them", "release": "2"}.items()
    assert (config["Entrypoint"], config["Cmd"]) == (AFTER["Entrypoint"], AFTER["Cmd"])
    assert (config["WorkingDir"], config["User"]) == ("/etc", "0")
    assert config["StopSignal"] == "SIGINT"
    assert config["Healthcheck"] == AFTER["Healthcheck"] | {"Retries": 7}
    assert config["ExposedPorts"] == AFTER["ExposedPorts"]
    assert config["Volumes"] == AFTER["Volumes"]


async def test_what_a_volume_holds(bench: Bench) -> None:
    """What was written into an anonymous volume is there afterwards, and after the next time."""
    first = await bench.run("web", [*PLAIN])
    await cli("exec", first["Id"], "sh", "-c", "echo precious >/data/file")
    second = await bench.again(first, bench.images[1])
    await bench.engine.remove(f"{second['Name'][1:]}-old", force=True, deadline_s=DEADLINE_S)
    third = await bench.again(second, bench.images[0])
    assert await cli("exec", third["Id"], "cat", "/data/file") == "precious"


async def test_volumes_of_another_container(bench: Bench) -> None:
    """As they were granted."""
    await bench.run("db", [*PLAIN, "-v", "/store"])
    old = await bench.run("web", [*PLAIN, "--volumes-from", "{prefix}db:ro"])
    new = await bench.again(old, bench.images[0])
    assert shape(new) == shape(old)
    assert {mount["RW"] for mount in new["Mounts"]} == {False}


# --- Networks


@pytest.fixture
async def subnet(bench: Bench) -> str:
    """The first three numbers of the addresses in a network `front`; there is a `back` as well."""
    first = f"10.213.{secrets.randbelow(256)}"
    await bench.network("front", "--subnet", f"{first}.0/24")
    await bench.network("back")
    return first


@pytest.mark.parametrize("is_running", [True, False])
async def test_networks(bench: Bench, subnet: str, is_running: bool) -> None:
    """Static and link-local addresses, aliases, links, further networks; of a stopped one too."""
    await bench.run("db", ["--network", "{prefix}back"])
    old = await bench.run(
        "web",
        [
            *("--network", "{prefix}front", "--ip", f"{subnet}.77", "--network-alias", "paper"),
            *("--link-local-ip", "169.254.8.8", "--publish", "127.0.0.1::80"),
            *("--publish", "81/udp", "--expose", "9000"),
        ],
    )
    link = ("--link", f"{bench.prefix}db:database")
    await cli("network", "connect", *link, "--alias", "api", f"{bench.prefix}back", old["Id"])
    expected = shape(await bench.inspect(old["Id"]))
    if not is_running:
        await bench.engine.kill(old["Id"], deadline_s=DEADLINE_S)
    made = await bench.again(await bench.inspect(old["Id"]), bench.images[0])
    await bench.engine.start(made["Id"], deadline_s=DEADLINE_S)
    new = await bench.inspect(made["Id"])
    assert shape(new) == expected
    front = new["NetworkSettings"]["Networks"][f"{bench.prefix}front"]
    assert front["IPAddress"] == f"{subnet}.77"
    assert front["IPAMConfig"]["LinkLocalIPs"] == ["169.254.8.8"]
    assert await cli("exec", new["Id"], "ping", "-c", "1", "-W", "5", "database")


async def test_published_ports_that_the_new_image_does_not_expose(
    bench: Bench, subnet: str
) -> None:
    """They are published nevertheless."""
    published = ["--network", "{prefix}front", "-p", "127.0.0.1::80", "-P"]
    old = await bench.run("web", published)
    ports = (await bench.again(old, bench.images[1]))["NetworkSettings"]["Ports"]
    assert {port for port, bindings in ports.items() if bindings} == {"80/tcp", "82/tcp"}


async def test_a_network_that_it_was_taken_off(bench: Bench, subnet: str) -> None:
    """It does not come back to it."""
    old = await bench.run("web", ["--network", "{prefix}front"])
    await cli("network", "connect", f"{bench.prefix}back", old["Id"])
    await cli("network", "disconnect", f"{bench.prefix}front", old["Id"])
    new = await bench.again(await bench.inspect(old["Id"]), bench.images[0])
    assert new["NetworkSettings"]["Networks"].keys() == {f"{bench.prefix}back"}


async def test_a_network_given_by_its_id(bench: Bench) -> None:
    """Its name is as good."""
    network = await bench.network("front")
    old = await bench.run("web", ["--network", network])
    new = await bench.again(old, bench.images[0])
    assert new["NetworkSettings"]["Networks"].keys() == {f"{bench.prefix}front"}
    assert new["HostConfig"]["NetworkMode"] in (network, f"{bench.prefix}front")


@pytest.mark.parametrize("options", [[], ["--link", "{prefix}db:database"]], ids=["plain", "link"])
async def test_the_default_network(
    bench: Bench, docker_client: docker.APIClient, options: list[str]
) -> None:
    """With what can be asked for there; a link's alias is told by the old container's own name."""
    if not docker_client.networks(names=["bridge"]):
        pytest.skip("this engine has no default network")
    await bench.run("db", [])
    old = await bench.run("web", [*options, "--dns", "192.0.2.1", "--add-host", "a:192.0.2.9"])
    new = await bench.again(old, bench.images[0])
    assert shape(new) == shape(old)


@pytest.mark.parametrize("is_asked_for", [True, False])
async def test_a_mac_address(bench: Bench, subnet: str, is_asked_for: bool) -> None:
    """It stays if it was asked for; one that the engine chose goes with the address that it chose it for."""
    api = await bench.engine.api_version(deadline_s=DEADLINE_S)
    network = f"{bench.prefix}front"
    config: Json = {"Image": bench.images[0], "HostConfig": {"NetworkMode": network}}
    if is_asked_for and api < (1, 44):
        config["MacAddress"] = MAC
    elif is_asked_for:
        config["NetworkingConfig"] = {"EndpointsConfig": {network: {"MacAddress": MAC}}}
    bench.containers.append(f"{bench.prefix}web")
    made = await bench.engine.create(config, f"{bench.prefix}web", deadline_s=DEADLINE_S)
    await bench.engine.start(made, deadline_s=DEADLINE_S)
    new = await bench.again(await bench.inspect(made), bench.images[0])
    in_use = new["NetworkSettings"]["Networks"][network]["MacAddress"]
    assert (in_use == MAC) is is_asked_for
    if not is_asked_for:
        assert not new["Config"].get("MacAddress")


# --- Other containers' namespaces


@pytest.mark.parametrize("by", ["{prefix}vpn", "id"])
async def test_a_dependent_follows_the_container_it_depends_on(bench: Bench, by: str) -> None:
    """Network, processes and IPC of the old one become those of the new one."""
    vpn = await bench.run("vpn", [*PLAIN, "--hostname", "vpn1", "--ipc", "shareable"])
    shared = "container:" + (vpn["Id"][:12] if by == "id" else by)
    options = ["--network", shared, "--pid", shared, "--ipc", shared]
    old = await bench.run("web", options)
    new_vpn = await bench.again(vpn, bench.images[1])
    new = await bench.again(old, bench.images[0], replaces=(vpn, new_vpn["Id"]))
    host = new["HostConfig"]
    assert {host[key] for key in ("NetworkMode", "PidMode", "IpcMode")} == {
        f"container:{new_vpn['Id']}"
    }
    assert new["State"]["Running"]
