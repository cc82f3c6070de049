"""What an operator is told to run on the host, where the agent cannot be updated in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agent.core.by_hand import by_hand

ID = "0d" * 32
IMAGE = "me/agent:3"


def own(host: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "Id": ID,
        "Name": "/agent",
        "Config": {"Env": ["REGISTRATION_TOKEN=secret"], "Labels": {"a": "secret"}},
        "HostConfig": {"RestartPolicy": {"Name": "always"}, **(host or {})},
        **changes,
    }


def run_of(container: Mapping[str, Any]) -> str:
    """The flags of its `docker run`."""
    [run] = [part for part in by_hand(container, IMAGE).split(" && ") if " run " in part]
    return run.removeprefix("docker run -d --name agent --restart always ").partition(IMAGE)[0]


def test_the_old_container_is_kept() -> None:
    """It is stopped, for two agents would take the server from each other, and renamed, so that one can go back."""
    text = by_hand(
        own({"Binds": ["/var/run/docker.sock:/var/run/docker.sock", "my data:/data"]}), IMAGE
    )
    assert text == (
        "on the host: docker pull me/agent:3 && docker stop agent && docker rename agent agent-old && "
        "docker run -d --name agent --restart always -v /var/run/docker.sock:/var/run/docker.sock "
        "-v 'my data:/data' me/agent:3; give it the same --env, --env-file, --label and --log-opt as before, "
        "and when the host is online: docker rm agent-old"
    )


@pytest.mark.parametrize(
    ("host", "flags"),
    [
        (
            {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}},
            "--restart on-failure:5",
        ),
        ({"AutoRemove": True}, "--rm"),
        ({"Init": True}, "--init"),
        (
            {"Mounts": [{"Type": "volume", "Source": "data", "Target": "/data"}]},
            "--mount type=volume,source=data,target=/data",
        ),
        (
            {
                "Mounts": [
                    {
                        "Type": "bind",
                        "Source": "/a,b",
                        "Target": "/c",
                        "ReadOnly": True,
                        "BindOptions": {"Propagation": "rslave"},
                    }
                ]
            },
            """--mount 'type=bind,"source=/a,b",target=/c,readonly,bind-propagation=rslave'""",
        ),
        (
            {
                "Mounts": [
                    {
                        "Type": "tmpfs",
                        "Target": "/t",
                        "TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o700},
                    }
                ]
            },
            "--mount type=tmpfs,target=/t,tmpfs-size=1024,tmpfs-mode=700",
        ),
        ({"Tmpfs": {"/scratch": "size=1m", "/run": ""}}, "--tmpfs /scratch:size=1m --tmpfs /run"),
        ({"NetworkMode": "host"}, "--network host"),
        (
            {"ExtraHosts": ["a:10.0.0.1"], "Dns": ["10.0.0.2"]},
            "--add-host a:10.0.0.1 --dns 10.0.0.2",
        ),
        ({"GroupAdd": ["998"], "ReadonlyRootfs": True}, "--read-only --group-add 998"),
        (
            {"CapDrop": ["ALL"], "CapAdd": ["CHOWN"], "SecurityOpt": ["no-new-privileges"]},
            "--cap-drop ALL --cap-add CHOWN --security-opt no-new-privileges",
        ),
        ({"Privileged": True, "PidMode": "host"}, "--privileged --pid host"),
        (
            {"UTSMode": "host", "UsernsMode": "host", "IpcMode": "host"},
            "--uts host --userns host --ipc host",
        ),
        (
            {"Memory": 67108864, "NanoCpus": 1_500_000_000, "CpuShares": 512, "PidsLimit": 100},
            "--memory 67108864 --cpus 1.5 --cpu-shares 512 --pids-limit 100",
        ),
    ],
)
def test_every_flag(host: Mapping[str, Any], flags: str) -> None:
    """As the container was made."""
    assert flags in by_hand(own(host), IMAGE)


@pytest.mark.parametrize(
    "host",
    [
        {
            "NetworkMode": "bridge",
            "IpcMode": "private",
            "PidsLimit": None,
            "Memory": 0,
            "Init": None,
        },
        {"NetworkMode": "default", "IpcMode": "shareable", "PidsLimit": -1, "CapAdd": None},
    ],
)
def test_what_an_engine_gives_by_itself(host: Mapping[str, Any]) -> None:
    """That is left out."""
    config = {"Hostname": ID[:12], "User": ""}
    assert run_of(own(host, Config=config)) == ""


def test_the_users_own_names() -> None:
    """A hostname and a user that somebody chose."""
    config = {"Hostname": "agent-1", "User": "1000:998"}
    assert run_of(own(Config=config)) == "--user 1000:998 --hostname agent-1 "


def test_a_volume_without_a_name() -> None:
    """What an image or `-v /data` made is found among the mounts: the token is on it."""
    found = [
        {"Type": "volume", "Name": "ab" * 32, "Destination": "/data"},
        {"Type": "bind", "Source": "/x", "Destination": "/y"},
    ]
    assert run_of(own({"Binds": ["/x:/y"]}, Mounts=found)) == f"-v /x:/y -v {'ab' * 32}:/data "


def test_several_networks() -> None:
    """The first with the container, the others after it, with their addresses and names."""
    networks = {
        "front": {"IPAMConfig": {"IPv4Address": "10.9.0.5"}, "Aliases": ["agent-alias", ID[:12]]},
        "back": {"IPAMConfig": {"IPv6Address": "fd00::5"}, "Aliases": None},
    }
    text = by_hand(own({"NetworkMode": "front"}, NetworkSettings={"Networks": networks}), IMAGE)
    assert "--network front --ip 10.9.0.5 --network-alias agent-alias me/agent:3 && " in text
    assert "me/agent:3 && docker network connect --ip6 fd00::5 back agent;" in text


def test_a_container_that_shares_a_network() -> None:
    """It has none to be joined to."""
    text = by_hand(own({"NetworkMode": "container:vpn"}, NetworkSettings={"Networks": {}}), IMAGE)
    assert "--network container:vpn me/agent:3;" in text


def test_with_compose() -> None:
    """The service of the project, as it was brought up."""
    labels = {
        "com.docker.compose.project": "dockmon",
        "com.docker.compose.service": "agent",
        "com.docker.compose.project.working_dir": "/srv/dock mon",
        "com.docker.compose.project.config_files": "/srv/dock mon/compose.yaml,/srv/more.yaml",
        "com.docker.compose.project.environment_file": "/srv/.env",
    }
    compose = "docker compose -p dockmon -f '/srv/dock mon/compose.yaml' -f /srv/more.yaml --env-file /srv/.env"
    assert by_hand(own(Config={"Labels": labels}), IMAGE) == (
        f"on the host: cd '/srv/dock mon' && {compose} pull agent && {compose} up -d agent"
    )


def test_no_secret() -> None:
    """Variables and labels hold tokens."""
    assert "secret" not in by_hand(own(), IMAGE)


def test_natively() -> None:
    """There is no container."""
    assert "docker" not in by_hand(None, "").replace("docs/operate", "")
