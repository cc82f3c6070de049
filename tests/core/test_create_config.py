"""What the server writes down in the manner of Docker's Python SDK becomes the Engine API's body, or an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.create_config import CreateRequest, InvalidConfig, create_request

Json = dict[str, Any]


def body_of(**arguments: Any) -> Json:
    return create_request({"image": "paper:2.4", **arguments}).body


def test_the_least_there_can_be() -> None:
    """An image is enough; the engine makes up the name, and there is no HostConfig to speak of."""
    assert create_request({"image": "paper:2.4"}) == CreateRequest(None, {"Image": "paper:2.4"})


def test_a_whole_container() -> None:
    """As a deployment writes it."""
    request = create_request(
        {
            "image": "paper:2.4",
            "name": "web",
            "command": ["serve", "--fast"],
            "environment": {"TZ": "UTC", "WORKERS": 4, "HOME": None},
            "ports": {"80/tcp": 8080},
            "volumes": {"/srv/paper": {"bind": "/data", "mode": "ro"}},
            "labels": {"dockmon.deployment_id": "7"},
            "restart_policy": {"Name": "unless-stopped"},
            "network": "paper_default",
            "mem_limit": "512m",
            "detach": True,
            "hostname": None,
        }
    )
    assert request.name == "web"
    assert request.body == {
        "Image": "paper:2.4",
        "Cmd": ["serve", "--fast"],
        "Env": ["TZ=UTC", "WORKERS=4", "HOME"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"dockmon.deployment_id": "7"},
        "NetworkingConfig": {"EndpointsConfig": {"paper_default": {}}},
        "HostConfig": {
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
            "Binds": ["/srv/paper:/data:ro"],
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "NetworkMode": "paper_default",
            "Memory": 536_870_912,
        },
    }


@pytest.mark.parametrize(
    ("key", "value", "api_key", "written"),
    [
        ("command", "sh -c 'echo a b'", "Cmd", ["sh", "-c", "echo a b"]),
        ("entrypoint", ["/init"], "Entrypoint", ["/init"]),
        ("environment", ["A=1", "B"], "Env", ["A=1", "B"]),
        ("labels", ["a", "b"], "Labels", {"a": "", "b": ""}),
        ("hostname", "web", "Hostname", "web"),
        ("domainname", "lan", "Domainname", "lan"),
        ("user", "1000:1000", "User", "1000:1000"),
        ("user", 1000, "User", "1000"),
        ("working_dir", "/app", "WorkingDir", "/app"),
        ("stop_signal", "SIGINT", "StopSignal", "SIGINT"),
        ("tty", True, "Tty", True),
        ("stdin_open", False, "OpenStdin", False),
        (
            "healthcheck",
            {"test": "curl -f localhost", "interval": 30_000_000_000, "retries": 3},
            "Healthcheck",
            {"Test": ["CMD-SHELL", "curl -f localhost"], "Interval": 30_000_000_000, "Retries": 3},
        ),
        ("healthcheck", {"Test": ["NONE"]}, "Healthcheck", {"Test": ["NONE"]}),
        ("volumes", ["/data"], "Volumes", {"/data": {}}),
    ],
)
def test_what_belongs_to_the_container(key: str, value: Any, api_key: str, written: Any) -> None:
    """One argument, one key at the top of the body."""
    assert body_of(**{key: value})[api_key] == written


@pytest.mark.parametrize(
    ("key", "value", "api_key", "written"),
    [
        ("cap_add", ["NET_ADMIN"], "CapAdd", ["NET_ADMIN"]),
        ("cap_drop", ["ALL"], "CapDrop", ["ALL"]),
        ("cpu_shares", 512, "CpuShares", 512),
        ("cpuset_cpus", "0-3", "CpusetCpus", "0-3"),
        (
            "devices",
            ["/dev/ttyUSB0", "/dev/sda:/dev/xvda:r"],
            "Devices",
            [
                {
                    "PathOnHost": "/dev/ttyUSB0",
                    "PathInContainer": "/dev/ttyUSB0",
                    "CgroupPermissions": "rwm",
                },
                {
                    "PathOnHost": "/dev/sda",
                    "PathInContainer": "/dev/xvda",
                    "CgroupPermissions": "r",
                },
            ],
        ),
        ("dns", ["192.0.2.1"], "Dns", ["192.0.2.1"]),
        ("extra_hosts", {"db": "192.0.2.9"}, "ExtraHosts", ["db:192.0.2.9"]),
        ("extra_hosts", ["db:192.0.2.9"], "ExtraHosts", ["db:192.0.2.9"]),
        ("init", True, "Init", True),
        (
            "log_config",
            {"type": "json-file", "config": {"max-file": 3}},
            "LogConfig",
            {"Type": "json-file", "Config": {"max-file": "3"}},
        ),
        ("mem_limit", 1024, "Memory", 1024),
        ("mem_limit", "1.5g", "Memory", 1_610_612_736),
        ("memswap_limit", -1, "MemorySwap", -1),
        ("shm_size", "64MB", "ShmSize", 67_108_864),
        ("network_mode", "host", "NetworkMode", "host"),
        ("privileged", True, "Privileged", True),
        ("read_only", True, "ReadonlyRootfs", True),
        ("restart_policy", "always", "RestartPolicy", {"Name": "always", "MaximumRetryCount": 0}),
        (
            "restart_policy",
            "on-failure:5",
            "RestartPolicy",
            {"Name": "on-failure", "MaximumRetryCount": 5},
        ),
        ("sysctls", {"net.core.somaxconn": 1024}, "Sysctls", {"net.core.somaxconn": "1024"}),
        ("tmpfs", {"/run": "size=64m"}, "Tmpfs", {"/run": "size=64m"}),
        ("tmpfs", ["/run", "/cache:size=1m"], "Tmpfs", {"/run": "", "/cache": "size=1m"}),
        (
            "ulimits",
            [{"name": "nofile", "soft": 1024, "hard": 2048}],
            "Ulimits",
            [{"Name": "nofile", "Soft": 1024, "Hard": 2048}],
        ),
        ("volumes", ["/a:/b", "data:/c:ro"], "Binds", ["/a:/b", "data:/c:ro"]),
        ("volumes", {"data": {"bind": "/c"}, "x": "/y"}, "Binds", ["data:/c:rw", "x:/y:rw"]),
    ],
)
def test_what_belongs_to_the_host(key: str, value: Any, api_key: str, written: Any) -> None:
    """One argument, one key of HostConfig."""
    assert body_of(**{key: value})["HostConfig"][api_key] == written


@pytest.mark.parametrize(
    ("ports", "bindings"),
    [
        ({"80": 8080}, {"80/tcp": [{"HostPort": "8080"}]}),
        ({"53/UDP": "53"}, {"53/udp": [{"HostPort": "53"}]}),
        ({"80/tcp": None}, {"80/tcp": [{"HostPort": ""}]}),
        (
            {"80/tcp": ["127.0.0.1", 8080]},
            {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
        ),
        ({"80/tcp": [8080, 8081]}, {"80/tcp": [{"HostPort": "8080"}, {"HostPort": "8081"}]}),
        ({"80/tcp": ["8080", 8081]}, {"80/tcp": [{"HostPort": "8080"}, {"HostPort": "8081"}]}),
        (
            {"80/tcp": [["::1", None], 8081]},
            {"80/tcp": [{"HostIp": "::1", "HostPort": ""}, {"HostPort": "8081"}]},
        ),
        ({"80": 8080, "80/tcp": 8081}, {"80/tcp": [{"HostPort": "8080"}, {"HostPort": "8081"}]}),
    ],
)
def test_ports(ports: Json, bindings: Json) -> None:
    """What is published is exposed as well."""
    body = body_of(ports=ports)
    assert body["HostConfig"]["PortBindings"] == bindings
    assert body["ExposedPorts"] == {port: {} for port in bindings}


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "image is missing"),
        ({"image": ""}, "image: must be a text that is not empty"),
        ({"image": "x", "zeta": 1, "alpha": 2}, "not supported: alpha, zeta"),
        (
            {"image": "x", "network": "a", "network_mode": "b"},
            "network and network_mode exclude each other",
        ),
        ({"image": "x", "name": 7}, "name: must be a text that is not empty"),
        ({"image": "x", "command": "sh -c 'open"}, "command: must be a command line whose quotes"),
        ({"image": "x", "command": 7}, "command: must be a command line or a list of texts"),
        ({"image": "x", "environment": {"KEY": [SECRET]}}, "environment: must be an object"),
        ({"image": "x", "environment": [7]}, "environment: must be a list of texts"),
        ({"image": "x", "labels": "a=b"}, "labels: must be an object"),
        ({"image": "x", "privileged": "yes"}, "privileged: must be true or false"),
        ({"image": "x", "cpu_shares": True}, "cpu_shares: must be a whole number"),
        ({"image": "x", "mem_limit": "lots"}, "mem_limit: must be a number of bytes"),
        ({"image": "x", "cap_add": "ALL"}, "cap_add: must be a list of texts"),
        ({"image": "x", "ports": {"http": 80}}, 'ports: a container port is written as "80/tcp"'),
        ({"image": "x", "ports": {"0": 80}}, "ports: a container port"),
        ({"image": "x", "ports": {"80": 70000}}, "ports: a host port is a number"),
        ({"image": "x", "ports": {"80": "x"}}, "ports: a host port is a number"),
        ({"image": "x", "ports": {"80": []}}, "ports: must be published"),
        ({"image": "x", "ports": [80]}, "ports: must be an object"),
        ({"image": "x", "volumes": {"/a": {"mode": "ro"}}}, "volumes: must be a text"),
        ({"image": "x", "volumes": {"/a": {"bind": "/b", "x": 1}}}, "volumes: a volume is written"),
        ({"image": "x", "restart_policy": "sometimes"}, "restart_policy: must be a policy"),
        ({"image": "x", "mem_limit": "9" * 5000}, "mem_limit: must be a number of bytes"),
        ({"image": "x", "ports": {"80": "9" * 5000}}, "ports: a host port is a number"),
        ({"image": "x", "restart_policy": "on-failure:" + "9" * 5000}, "restart_policy: must be"),
        ({"image": "x", "restart_policy": "on-failure:x"}, "restart_policy: must be a policy"),
        ({"image": "x", "restart_policy": {"Name": "no", "X": 1}}, "restart_policy: must be"),
        ({"image": "x", "healthcheck": {"test": "x", "magic": 1}}, "healthcheck: not supported in"),
        ({"image": "x", "ulimits": {"name": "nofile"}}, "ulimits: must be a list"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(arguments: Json, told: str) -> None:
    """Nothing is silently dropped; the error names the argument and never a value."""
    with pytest.raises(InvalidConfig) as invalid:
        create_request(arguments)
    assert str(invalid.value).startswith(told)
    assert SECRET not in str(invalid.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "ports",
        "volumes",
        "environment",
        "healthcheck",
        "restart_policy",
        "devices",
        "tmpfs",
        "ulimits",
        "log_config",
        "mem_limit",
        "command",
        "labels",
        "extra_hosts",
        "user",
        "name",
    ]
)


@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_whatever_the_server_sends_is_a_body_or_one_error(arguments: Json) -> None:
    """There is no value that breaks the translation."""
    try:
        request = create_request({"image": "x", **arguments})
    except InvalidConfig:
        return
    assert request.body["Image"] == "x"
