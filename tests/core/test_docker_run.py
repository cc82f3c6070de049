"""The options that make a container once more, out of the engine's inspection of it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.docker_run import DockerRun, docker_run

Json = dict[str, Any]

ID = "0123456789ab" + "c" * 52


def own(*, config: Json | None = None, networks: Json | None = None, **host: Any) -> Json:
    """What an engine says of a container that sets nothing, but for these."""
    untouched: Json = {
        "NetworkMode": "none",
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "json-file", "Config": {}},
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "Runtime": "runc",
        "ShmSize": 64 << 20,
        "PidsLimit": None,
        "OomKillDisable": False,
        "Init": None,
        "Dns": [],
        "ExtraHosts": None,
        "MaskedPaths": ["/proc/kcore"],
        "ReadonlyPaths": ["/proc/sys"],
    }
    return {
        "Id": ID,
        "Name": "/agent",
        "Config": {"Hostname": ID[:12], "User": "", **(config or {})},
        "HostConfig": {**untouched, **host},
        "Mounts": [],
        "NetworkSettings": {"Networks": networks or {}},
    }


def options(inspected: Json) -> str:
    """Those beside name and network, which all have."""
    said = " ".join(docker_run(inspected).options)
    return said.removeprefix("--name agent").removeprefix(" --network none").strip()


def test_a_container_that_sets_nothing() -> None:
    """What an engine fills in by itself is not asked for."""
    assert docker_run(own(NetworkMode="default", networks={"bridge": {}})) == DockerRun(
        name="agent", options=("--name", "agent"), connections=(), unsaid=(), has_arguments=False
    )
    assert docker_run({}).options == ("--name", "dockmon-agent")


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"RestartPolicy": {"Name": "always"}}, "--restart always"),
        (
            {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}},
            "--restart on-failure:3",
        ),
        ({"RestartPolicy": {"Name": "on-failure"}}, "--restart on-failure"),
        ({"CapDrop": ["ALL"], "CapAdd": ["CHOWN", "SETUID"]}, None),
        ({"GroupAdd": ["998"]}, "--group-add 998"),
        ({"ReadonlyRootfs": True, "Privileged": True, "Init": True}, None),
        ({"PidMode": "host", "UTSMode": "host", "IpcMode": "host"}, None),
        ({"IpcMode": "shareable"}, "--ipc shareable"),
        ({"CgroupnsMode": "host"}, "--cgroupns host"),
        ({"Memory": 67108864, "MemorySwap": 134217728}, "--memory 67108864"),
        ({"Memory": 64, "MemorySwap": -1}, "--memory 64 --memory-swap -1"),
        ({"NanoCpus": 1_500_000_000}, "--cpus 1.5"),
        ({"NanoCpus": 2_000_000_000}, "--cpus 2"),
        ({"NanoCpus": 10_000_001}, "--cpus 0.010000001"),
        ({"PidsLimit": 100}, "--pids-limit 100"),
        ({"PidsLimit": 0}, ""),
        ({"ExtraHosts": ["db:192.0.2.7"], "Dns": ["192.0.2.1"]}, None),
        ({"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}]}, "--ulimit nofile=1:2"),
        ({"Sysctls": {"kernel.msgmax": "8192"}}, "--sysctl kernel.msgmax=8192"),
        ({"Tmpfs": {"/tmp": "", "/run": "size=1m,mode=700"}}, None),  # noqa: S108  inside a container
    ],
)
def test_what_an_operator_set(host: Json, said: str | None) -> None:
    """Each is asked for again in the words of `docker run`."""
    expected = {
        "CapDrop": "--cap-drop ALL --cap-add CHOWN --cap-add SETUID",
        "ReadonlyRootfs": "--privileged --read-only --init",
        "PidMode": "--pid host --uts host --ipc host",
        "ExtraHosts": "--add-host db:192.0.2.7 --dns 192.0.2.1",
        "Tmpfs": "--tmpfs /tmp --tmpfs /run:size=1m,mode=700",
    }
    assert options(own(**host)) == (expected[next(iter(host))] if said is None else said)


@pytest.mark.parametrize(
    ("config", "host", "said"),
    [
        ({"User": "1000:1000"}, {}, "--user 1000:1000"),
        ({"Hostname": "web1", "Domainname": "lan"}, {}, "--hostname web1 --domainname lan"),
        (
            {"Tty": True, "OpenStdin": True, "StopTimeout": 0},
            {},
            "--tty --interactive --stop-timeout 0",
        ),
        ({"Hostname": "web1"}, {"UTSMode": "host"}, "--uts host"),
        ({"Hostname": "web1"}, {"NetworkMode": "container:f00"}, "--network container:f00"),
    ],
)
def test_who_it_is_and_how_it_runs(config: Json, host: Json, said: str) -> None:
    """A name that the engine made up, or would refuse to be asked for, is left out."""
    assert options(own(config=config, **host)) == said


# --- Storage


@pytest.mark.parametrize(
    ("mount", "said"),
    [
        ({"Type": "volume", "Source": "v"}, "type=volume,source=v,target=/x"),
        (
            {
                "Type": "volume",
                "Source": "v",
                "ReadOnly": True,
                "VolumeOptions": {"NoCopy": True, "Subpath": "a", "Labels": {"k": "secret"}},
            },
            "type=volume,source=v,target=/x,readonly,volume-nocopy,volume-subpath=a",
        ),
        (
            {
                "Type": "volume",
                "Source": "v",
                "VolumeOptions": {"DriverConfig": {"Name": "cifs", "Options": {"o": "secret"}}},
            },
            "type=volume,source=v,target=/x",
        ),
        (
            {
                "Type": "bind",
                "Source": "/usr",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rslave", "NonRecursive": True},
            },
            "type=bind,source=/usr,target=/x,readonly,bind-propagation=rslave,bind-recursive=disabled",
        ),
        (
            {"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o1770}},
            "type=tmpfs,target=/x,tmpfs-size=1024,tmpfs-mode=1770",
        ),
        (
            {"Type": "bind", "Source": '/a,b "c"'},
            'type=bind,"source=/a,b ""c""",target=/x',
        ),
    ],
)
def test_mounts(mount: Json, said: str) -> None:
    """As fields of a CSV line. A volume that is there needs no driver, whose options may hold a password."""
    assert docker_run(own(Mounts=[{**mount, "Target": "/x"}])).options[-2:] == ("--mount", said)


def test_binds() -> None:
    """As the engine has them."""
    assert options(own(Binds=["my data:/data", "/proc:/host/proc:ro"])) == (
        "-v my data:/data -v /proc:/host/proc:ro"
    )


def test_an_anonymous_volume_is_asked_for_by_name() -> None:
    """A new container would get an empty one, and the token would be lost."""
    inspected = own()
    inspected["Mounts"] = [
        {"Type": "volume", "Name": "f00d", "Destination": "/data", "RW": True, "Mode": ""}
    ]
    assert options(inspected) == "--mount type=volume,source=f00d,target=/data"
    assert inspected == inspected | {"HostConfig": own()["HostConfig"]}, "nothing is changed in it"


# --- Networks


def test_one_network_with_addresses_and_names() -> None:
    """The alias that the engine adds, the short ID, is the old container's alone."""
    front = {
        "IPAMConfig": {"IPv4Address": "10.9.0.7", "IPv6Address": "fd00::7"},
        "Aliases": ["paper", ID[:12]],
        "IPAddress": "10.9.0.7",
        "MacAddress": "02:42:0a:09:00:07",
    }
    run = docker_run(own(NetworkMode="front", networks={"front": front}))
    assert " ".join(run.options) == (
        "--name agent --network front --ip 10.9.0.7 --ip6 fd00::7 --network-alias paper"
    )


def test_further_networks() -> None:
    """Connected to afterwards, in the order in which the engine has them."""
    networks = {
        "back": {"IPAMConfig": {"IPv4Address": "10.8.0.7"}, "Aliases": ["api"]},
        "front": {},
        "side": None,
    }
    run = docker_run(own(NetworkMode="front", networks=networks))
    assert run.options[2:] == ("--network", "front")
    assert run.connections == (
        ("--ip", "10.8.0.7", "--alias", "api", "back", "agent"),
        ("side", "agent"),
    )


def test_networks_of_no_own() -> None:
    """What an engine reports of them cannot be asked for."""
    run = docker_run(own(NetworkMode="host", networks={"host": {"Aliases": ["x"]}}))
    assert run.options[2:] == ("--network", "host")
    assert run.connections == ()


def test_a_network_that_it_was_taken_off() -> None:
    """It does not come back to it."""
    run = docker_run(own(NetworkMode="front", networks={"back": {}}))
    assert run.options[2:] == ("--network", "back")


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        ({"HostIp": "", "HostPort": "8080"}, "8080:80/tcp"),
        ({"HostIp": "127.0.0.1", "HostPort": ""}, "127.0.0.1::80/tcp"),
        ({"HostIp": "::1", "HostPort": "8080"}, "[::1]:8080:80/tcp"),
        ({"HostIp": "", "HostPort": ""}, "80/tcp"),
    ],
)
def test_published_ports(binding: Json, said: str) -> None:
    """With the address they are bound to."""
    run = docker_run(own(NetworkMode="default", PortBindings={"80/tcp": [binding]}))
    assert run.options[2:] == ("-p", said)


# --- What is not said


def test_what_may_hold_a_secret() -> None:
    """No value of the environment, of a label, of a log driver that has a server, and no argument."""
    run = docker_run(
        own(
            config={"Env": ["T=secret"], "Labels": {"l": "secret"}, "Cmd": ["--token", "secret"]},
            LogConfig={"Type": "splunk", "Config": {"splunk-token": "secret"}},
        )
    )
    assert "secret" not in repr(run)
    assert run.options[-2:] == ("--log-driver", "splunk")
    assert run.unsaid == ("--log-opt",)
    assert run.has_arguments


def test_logs_on_the_host() -> None:
    """Their options are limits and names."""
    log = {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert options(own(LogConfig=log)) == "--log-driver json-file --log-opt max-size=1m"
    assert options(own(LogConfig={"Type": "none", "Config": {}})) == "--log-driver none"


def test_security() -> None:
    """The profile that an engine has is the text of a file that we do not know."""
    run = docker_run(own(SecurityOpt=["no-new-privileges", 'seccomp={"defaultAction": 1}']))
    assert run.options[-2:] == ("--security-opt", "no-new-privileges")
    assert run.unsaid == ("--security-opt seccomp=FILE",)
    unmasked = own(MaskedPaths=[], ReadonlyPaths=[])
    assert options(unmasked) == "--security-opt systempaths=unconfined"
