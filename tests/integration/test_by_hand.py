"""The commands for an operator, run: the new container is made as the old one was."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from engine import NAME_PREFIX

from agent.core.by_hand import by_hand

DEADLINE_S = 60.0


class Shell:
    """The operator's, on this host. What it made is gone after the test."""

    def __init__(self, engine_url: str) -> None:
        self.name = f"{NAME_PREFIX}by-hand-{secrets.token_hex(4)}"
        self._environ = {**os.environ, "DOCKER_HOST": engine_url}

    def run(self, line: str) -> None:
        ran = self._run(line)
        assert ran.returncode == 0, ran.stderr

    def _run(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ("sh", "-ec", line),
            env=self._environ,
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )

    def close(self) -> None:
        self._run(f"docker rm -fv {self.name} {self.name}-old")
        self._run(f"docker network rm {self.name}-a {self.name}-b")
        self._run(f"docker volume rm {self.name}")


@pytest.fixture
def shell(engine_url: str) -> Iterator[Shell]:
    opened = Shell(engine_url)
    yield opened
    opened.close()


ROWS = {
    "plain": "",
    "hardened": (
        "--read-only --tmpfs /tmp:size=1m --cap-drop ALL --cap-add CHOWN --cap-add SETUID "
        "--security-opt no-new-privileges --group-add 998 --user 1000 --pids-limit 100 --memory 64m --cpus 0.5"
    ),
    "mounts": (
        "-v /tmp:/host/tmp:ro --mount type=volume,source={name},target=/data "
        "--mount type=bind,source=/proc,target=/host/proc,readonly,bind-propagation=rprivate "
        "--mount type=tmpfs,target=/scratch,tmpfs-size=1048576,tmpfs-mode=700 -v /anonymous"
    ),
    "namespaces": "--network host --pid host --uts host --ipc host --restart on-failure:3 --init",
    "networks": "--network {name}-a --ip 10.213.1.5 --network-alias agent --hostname agent --add-host a:10.0.0.1",
}


@pytest.mark.parametrize("flags", ROWS.values(), ids=list(ROWS))
def test_the_same_again(
    shell: Shell, docker_client: docker.APIClient, busybox_image: str, flags: str
) -> None:
    """Whatever `docker run` was told, the printed commands tell it again; the old container is kept, and stopped."""
    shell.run(f"docker network create --subnet 10.213.1.0/24 {shell.name}-a")
    shell.run(f"docker network create --subnet 10.213.2.0/24 {shell.name}-b")
    flags = flags.format(name=shell.name)
    shell.run(f"docker run -d --name {shell.name} {flags} {busybox_image}")
    if "-a " in flags:
        shell.run(
            f"docker network connect --ip 10.213.2.5 --alias second {shell.name}-b {shell.name}"
        )
    old = docker_client.inspect_container(shell.name)

    text = by_hand(old, busybox_image).removeprefix("on the host: ")
    commands, _, afterwards = text.partition(";")
    shell.run(commands.removeprefix(f"docker pull {busybox_image} && "))  # no registry has it

    new = docker_client.inspect_container(shell.name)
    assert new["Id"] != old["Id"]
    assert docker_client.inspect_container(f"{shell.name}-old")["State"]["Running"] is False
    assert _made(new) == _made(old)
    shell.run(afterwards.rpartition(": ")[2])
    assert shell.name + "-old" not in str(docker_client.containers(all=True))


def _made(container: dict[str, Any]) -> dict[str, Any]:
    """How it was made: all of HostConfig, where its volumes are, its networks and its names."""
    host = dict(container["HostConfig"])
    binds = host.pop("Binds") or []
    networks = {
        name: (endpoint["IPAMConfig"], _names(endpoint, container["Id"]))
        for name, endpoint in container["NetworkSettings"]["Networks"].items()
    }
    mounts = {
        mount["Destination"]: (mount["Type"], mount.get("Name") or mount["Source"], mount["RW"])
        for mount in container["Mounts"]
    }
    hostname = container["Config"]["Hostname"].replace(container["Id"][:12], "its own")
    return {
        "host": host,
        "binds": [bind for bind in binds if ":/anonymous" not in bind],
        "networks": networks,
        "mounts": mounts,
        "hostname": hostname,
        "user": container["Config"]["User"],
    }


def _names(endpoint: dict[str, Any], own_id: str) -> list[str]:
    return sorted(name for name in endpoint["Aliases"] or () if name != own_id[:12])
