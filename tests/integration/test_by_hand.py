"""What an operator is told to type, typed: the container comes back the same, and the old one can be had again."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import docker
import pytest
from engine import LABEL, NAME_PREFIX
from integration.asked_networks import networks_of

from agent.core.by_hand import by_hand
from agent.ports import Json

CLI_DEADLINE_S = 60


@dataclass
class Desk:
    """Where commands are typed: containers, networks and volumes of one test, which are gone after it."""

    client: docker.APIClient
    url: str
    image: str
    prefix: str = field(default_factory=lambda: f"{NAME_PREFIX}{secrets.token_hex(4)}-")

    @property
    def name(self) -> str:
        return self.prefix + "agent"

    def type(self, command: str) -> None:
        """As into a shell on the host."""
        done = subprocess.run(
            ["sh", "-c", command],
            capture_output=True,
            check=False,
            env={**os.environ, "DOCKER_HOST": self.url},
            text=True,
            timeout=CLI_DEADLINE_S,
        )
        assert done.returncode == 0, done.stderr

    def run(self, options: str) -> Json:
        self.type(f"docker run -d --name {self.name} --label {LABEL}=1 {options} {self.image}")
        return self.inspect(self.name)

    def inspect(self, container: str) -> Json:
        found: Json = self.client.inspect_container(container)
        return found

    def told(self, own: Json) -> tuple[str, str, str]:
        """How to replace it, what to remove then, how to go back. Nothing is pulled, for the image is only here."""
        text = by_hand(own, self.image)
        found = re.fullmatch(
            rf"on the host: docker pull {self.image} && (.+), with the same .+"
            r" online: (.+), which .+ To go back: (.+)",
            text,
        )
        assert found, text
        return found[1], found[2], found[3]

    def clean_up(self) -> None:
        volumes = {each["Name"] for each in self.client.volumes()["Volumes"] or ()}
        mine = {name for name in volumes if name.startswith(self.prefix)}
        for found in self.client.containers(all=True, filters={"name": self.prefix}):
            mounts = self.inspect(found["Id"])["Mounts"]
            mine |= {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
            self.client.remove_container(found["Id"], force=True)
        for volume in mine:
            with contextlib.suppress(docker.errors.NotFound):
                self.client.remove_volume(volume)
        for network in self.client.networks(names=[self.prefix]):
            self.client.remove_network(network["Id"])


@pytest.fixture
def desk(docker_client: docker.APIClient, engine_url: str, busybox_image: str) -> Iterator[Desk]:
    if shutil.which("docker") is None:
        pytest.skip("the docker command, which an operator types, is not on PATH")
    desk = Desk(docker_client, engine_url, busybox_image)
    try:
        yield desk
    finally:
        desk.clean_up()


def shape(inspected: Json) -> Json:
    """What of an inspection must not differ. Labels are the operator's to repeat."""
    config = {key: value for key, value in inspected["Config"].items() if key != "Labels"}
    short_id = inspected["Id"][:12]
    if config["Hostname"] == short_id:
        del config["Hostname"]
    return {
        "Name": inspected["Name"],
        "Config": config,
        "HostConfig": inspected["HostConfig"],
        "networks": networks_of(inspected),
    }


def case(name: str, options: str) -> Any:
    return pytest.param(options, id=name)


@pytest.mark.parametrize(
    "options",
    [
        case("as documented", "--restart always -v /proc:/host/proc:ro -v {prefix}data:/data"),
        case(
            "without any privilege",
            "--network none --user 1000 --group-add 998 --read-only --tmpfs /tmp "
            "--tmpfs /run:size=1m,mode=700 --cap-drop ALL --cap-add CHOWN --cap-add SETUID "
            "--security-opt no-new-privileges --security-opt seccomp=unconfined",
        ),
        case(
            "mounts",
            "--network none --mount type=bind,source=/usr,target=/a,readonly,bind-propagation=rprivate "
            '--mount \'type=volume,source={prefix}data,"target=/b, ""c""",volume-nocopy,readonly\' '
            "--mount type=tmpfs,target=/d,tmpfs-size=1048576,tmpfs-mode=1770 -v '/usr/share:/e f:rprivate'",
        ),
        case(
            "limits",
            "--network none --memory 64m --memory-reservation 32m --memory-swap 96m --cpus 0.75 "
            "--cpu-shares 512 --pids-limit 50 --ulimit nofile=256:512 --shm-size 1m "
            "--oom-score-adj 100 --sysctl kernel.msgmax=8192 --device /dev/null:/dev/x:r "
            "--restart on-failure:3 --init --log-opt max-size=1m --log-opt max-file=2",
        ),
        case("the host's own", "--network host --pid host --ipc host --uts host --userns host"),
        case("names", "--hostname web1 --domainname lan --dns 192.0.2.1 --add-host db:192.0.2.9"),
        case("nothing masked", "--network none --security-opt systempaths=unconfined"),
    ],
)
def test_a_container_typed_again(desk: Desk, options: str) -> None:
    """All that the engine was asked for is asked for again."""
    old = desk.run(options.format(prefix=desk.prefix))
    replace, remove_old, _ = desk.told(old)
    desk.type(replace)
    new = desk.inspect(desk.name)
    assert shape(new) == shape(old)
    assert new["Id"] != old["Id"]
    assert new["State"]["Running"]
    desk.type(remove_old)
    with pytest.raises(docker.errors.NotFound):
        desk.inspect(old["Id"])


def test_networks_typed_again(desk: Desk) -> None:
    """Static addresses, aliases, a published port, and a second network with all of that."""
    first = f"10.214.{secrets.randbelow(256)}"
    for name, subnet in (("front", f"{first}.0/25"), ("back", f"{first}.128/25")):
        desk.type(f"docker network create --subnet {subnet} {desk.prefix}{name}")
    desk.run(
        f"--network {desk.prefix}front --ip {first}.77 --network-alias paper -p 127.0.0.1::80/tcp"
    )
    desk.type(f"docker network connect --ip {first}.177 --alias api {desk.prefix}back {desk.name}")
    old = desk.inspect(desk.name)
    desk.type(desk.told(old)[0])
    assert shape(desk.inspect(desk.name)) == shape(old)


def test_an_anonymous_volume_stays(desk: Desk) -> None:
    """What it holds is there afterwards, also when the old container is removed."""
    old = desk.run("--network none -v /data")
    desk.type(f"docker exec {desk.name} sh -c 'echo precious >/data/file'")
    replace, remove_old, _ = desk.told(old)
    desk.type(f"{replace} && {remove_old} && docker exec {desk.name} grep precious /data/file")


def test_going_back(desk: Desk) -> None:
    """The old container itself runs again, under its name."""
    old = desk.run("--network none --restart always")
    replace, _, go_back = desk.told(old)
    desk.type(replace)
    assert not desk.inspect(old["Id"])["State"]["Running"], "never do both run"
    desk.type(go_back)
    back = desk.inspect(desk.name)
    assert (back["Id"], back["State"]["Running"]) == (old["Id"], True)


def test_a_name_that_is_taken(desk: Desk) -> None:
    """The agent is told nothing and runs on: what was put aside the last time is still there."""
    old = desk.run("--network none")
    desk.client.create_container(desk.image, name=f"{desk.name}-old", labels={LABEL: "1"})
    with pytest.raises(AssertionError, match="already in use"):
        desk.type(desk.told(old)[0])
    assert desk.inspect(desk.name)["State"]["Running"]
