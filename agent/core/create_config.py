"""From the arguments of Docker's Python SDK, as the server writes a container down, to the Engine API's own body."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

Json = dict[str, Any]
Reader = Callable[[Any], Any]


class InvalidConfig(Exception):
    """The arguments cannot be carried out as they stand. The text names the argument and never repeats a value."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """`POST /containers/create`: `body` is what the Engine API takes; without a `name` the engine makes one up."""

    name: str | None
    body: Json


def create_request(arguments: Mapping[str, Any]) -> CreateRequest:
    """Translates the arguments of the SDK's `containers.create`. One that is None counts as not given.

    Raises:
        InvalidConfig: An argument is unknown, is missing, contradicts another, or has a value that is none.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    if unknown := sorted(given.keys() - _READERS.keys() - _ELSEWHERE):
        raise InvalidConfig(f"not supported: {', '.join(unknown)[:500]}")
    if "network" in given and "network_mode" in given:
        raise InvalidConfig("network and network_mode exclude each other")
    if "image" not in given:
        raise InvalidConfig("image is missing")
    body: Json = {}
    host: Json = {}
    sections = {"config": body, "host": host}
    name: str | None = None
    for key, value in given.items():
        try:
            if key == "name":
                name = _text(value)
            elif key == "network":
                host["NetworkMode"] = _text(value)
                body["NetworkingConfig"] = {"EndpointsConfig": {value: {}}}
            elif key == "ports":
                bindings = _ports(value)
                body["ExposedPorts"] = {port: {} for port in bindings}
                host["PortBindings"] = bindings
            elif key == "volumes":
                anonymous, binds = _volumes(value)
                if anonymous:
                    body["Volumes"] = {path: {} for path in anonymous}
                if binds:
                    host["Binds"] = binds
            elif key in _READERS:
                section, api_name, read = _READERS[key]
                sections[section][api_name] = read(value)
        except _Unfit as unfit:
            raise InvalidConfig(f"{key}: {unfit}") from None
    return CreateRequest(name, body | ({"HostConfig": host} if host else {}))


# --- Values


class _Unfit(Exception):
    """What the value has to be."""


def _must(be: str) -> NoReturn:
    raise _Unfit(f"must be {be}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else _must("a text that is not empty")


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else _must("true or false")


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _must("a whole number")


def _texts(value: Any) -> list[str]:
    if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
        return value
    return _must("a list of texts")


def _command(value: Any) -> list[str]:
    if isinstance(value, str):
        try:
            return shlex.split(value)
        except ValueError:
            _must("a command line whose quotes are closed, or a list of texts")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return _must("a command line or a list of texts")


_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)([bkmgt]?)b?", re.ASCII | re.IGNORECASE)
_FACTORS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def _size_bytes(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        return int(float(match[1]) * _FACTORS[match[2].lower()])
    return _must('a number of bytes, or a text such as "512m"')


def _scalar(value: Any) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    return _must("an object whose values are texts or numbers")


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else _must("an object")


def _strings(value: Any) -> dict[str, str]:
    return {key: _scalar(item) for key, item in _object(value).items()}


def _labels(value: Any) -> dict[str, str]:
    return dict.fromkeys(_texts(value), "") if isinstance(value, list) else _strings(value)


def _environment(value: Any) -> list[str]:
    if isinstance(value, list):
        return _texts(value)
    # A name alone removes what the image sets.
    return [
        key if item is None else f"{key}={_scalar(item)}" for key, item in _object(value).items()
    ]


_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_POLICIES = {"", "no", "always", "unless-stopped", "on-failure"}


def _restart_policy(value: Any) -> Json:
    wanted = 'a policy such as "always" or {"Name": "on-failure", "MaximumRetryCount": 5}'
    if isinstance(value, str):
        name, _, retries = value.partition(":")
        if retries and not _NUMBER.fullmatch(retries):
            _must(wanted)
        value = {"Name": name, "MaximumRetryCount": int(retries or 0)}
    policy = _object(value)
    if policy.get("Name") not in _POLICIES or policy.keys() - {"Name", "MaximumRetryCount"}:
        _must(wanted)
    return {
        "Name": policy["Name"],
        "MaximumRetryCount": _integer(policy.get("MaximumRetryCount", 0)),
    }


_PORT = re.compile(r"(\d{1,5})(?:/(tcp|udp|sctp))?", re.ASCII | re.IGNORECASE)


def _ports(value: Any) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for key, published in _object(value).items():
        match = _PORT.fullmatch(key)
        if match is None or not 0 < int(match[1]) < 65536:
            raise _Unfit('a container port is written as "80/tcp"')
        port = f"{int(match[1])}/{(match[2] or 'tcp').lower()}"
        bindings.setdefault(port, []).extend(_bindings(published))
    return bindings


def _bindings(published: Any) -> list[dict[str, str]]:
    """A port, [address, port], several of either, or None for a port of the engine's choice."""
    if not isinstance(published, list):
        return [_binding("", published)]
    if (
        len(published) == 2
        and isinstance(published[0], str)
        and not _NUMBER.fullmatch(published[0])
    ):
        return [_binding(*published)]
    bindings = [binding for item in published for binding in _bindings(item)]
    return bindings or _must("published with at least one host port")


def _binding(address: Any, port: Any) -> dict[str, str]:
    if isinstance(port, str) and _NUMBER.fullmatch(port):
        port = int(port)
    if port is None:
        number = ""
    elif isinstance(port, int) and not isinstance(port, bool) and 0 <= port < 65536:
        number = str(port)
    else:
        raise _Unfit("a host port is a number up to 65535, or [address, port], or null")
    return {"HostIp": address, "HostPort": number} if address else {"HostPort": number}


def _volumes(value: Any) -> tuple[list[str], list[str]]:
    """Paths of anonymous volumes, and binds."""
    if isinstance(value, list):
        items = _texts(value)
        return [item for item in items if ":" not in item], [item for item in items if ":" in item]
    binds = []
    for source, target in _object(value).items():
        if isinstance(target, str):
            target = {"bind": target}
        if not isinstance(target, dict) or target.keys() - {"bind", "mode"}:
            raise _Unfit('a volume is written as {"bind": "/path", "mode": "rw"}')
        binds.append(f"{source}:{_text(target.get('bind'))}:{_text(target.get('mode', 'rw'))}")
    return [], binds


def _devices(value: Any) -> list[Json]:
    devices = []
    for item in _texts(value):
        host, _, rest = item.partition(":")
        inside, _, permissions = rest.partition(":")
        devices.append(
            {
                "PathOnHost": host,
                "PathInContainer": inside or host,
                "CgroupPermissions": permissions or "rwm",
            }
        )
    return devices


def _extra_hosts(value: Any) -> list[str]:
    if isinstance(value, list):
        return _texts(value)
    return [f"{host}:{address}" for host, address in _strings(value).items()]


def _tmpfs(value: Any) -> dict[str, str]:
    if isinstance(value, list):
        parts = [item.partition(":") for item in _texts(value)]
        return {path: options for path, _, options in parts}
    return _strings(value)


def _fields(names: Mapping[str, tuple[str, Reader]]) -> Reader:
    """Reads an object whose keys are written in the SDK's way or in the engine's."""
    known = dict(names) | {api_name: (api_name, read) for api_name, read in names.values()}

    def read_object(value: Any) -> Json:
        if unknown := sorted(_object(value).keys() - known.keys()):
            raise _Unfit(f"not supported in it: {', '.join(unknown)[:200]}")
        return {
            known[key][0]: known[key][1](item) for key, item in value.items() if item is not None
        }

    return read_object


def _test(value: Any) -> list[str]:
    return ["CMD-SHELL", value] if isinstance(value, str) else _texts(value)


_ulimit = _fields({"name": ("Name", _text), "soft": ("Soft", _integer), "hard": ("Hard", _integer)})


def _ulimits(value: Any) -> list[Json]:
    return [_ulimit(item) for item in value] if isinstance(value, list) else _must("a list")


# --- Arguments

_ELSEWHERE = {"name", "network", "ports", "volumes", "detach"}
"""Those that become more than one thing, and one that is about the SDK itself: `create` never starts anything."""

_READERS: Mapping[str, tuple[str, str, Reader]] = {
    "image": ("config", "Image", _text),
    "command": ("config", "Cmd", _command),
    "entrypoint": ("config", "Entrypoint", _command),
    "environment": ("config", "Env", _environment),
    "labels": ("config", "Labels", _labels),
    "hostname": ("config", "Hostname", _text),
    "domainname": ("config", "Domainname", _text),
    "user": ("config", "User", lambda value: str(value) if type(value) is int else _text(value)),
    "working_dir": ("config", "WorkingDir", _text),
    "stop_signal": ("config", "StopSignal", _text),
    "tty": ("config", "Tty", _flag),
    "stdin_open": ("config", "OpenStdin", _flag),
    "healthcheck": (
        "config",
        "Healthcheck",
        _fields(
            {
                "test": ("Test", _test),
                "interval": ("Interval", _integer),
                "timeout": ("Timeout", _integer),
                "retries": ("Retries", _integer),
                "start_period": ("StartPeriod", _integer),
            }
        ),
    ),
    "auto_remove": ("host", "AutoRemove", _flag),
    "cap_add": ("host", "CapAdd", _texts),
    "cap_drop": ("host", "CapDrop", _texts),
    "cgroup_parent": ("host", "CgroupParent", _text),
    "cpu_period": ("host", "CpuPeriod", _integer),
    "cpu_quota": ("host", "CpuQuota", _integer),
    "cpu_shares": ("host", "CpuShares", _integer),
    "cpuset_cpus": ("host", "CpusetCpus", _text),
    "devices": ("host", "Devices", _devices),
    "dns": ("host", "Dns", _texts),
    "dns_opt": ("host", "DnsOptions", _texts),
    "dns_search": ("host", "DnsSearch", _texts),
    "extra_hosts": ("host", "ExtraHosts", _extra_hosts),
    "group_add": ("host", "GroupAdd", _texts),
    "init": ("host", "Init", _flag),
    "ipc_mode": ("host", "IpcMode", _text),
    "log_config": (
        "host",
        "LogConfig",
        _fields({"type": ("Type", _text), "config": ("Config", _strings)}),
    ),
    "mem_limit": ("host", "Memory", _size_bytes),
    "mem_reservation": ("host", "MemoryReservation", _size_bytes),
    "memswap_limit": ("host", "MemorySwap", _size_bytes),
    "nano_cpus": ("host", "NanoCpus", _integer),
    "network_mode": ("host", "NetworkMode", _text),
    "oom_kill_disable": ("host", "OomKillDisable", _flag),
    "pid_mode": ("host", "PidMode", _text),
    "pids_limit": ("host", "PidsLimit", _integer),
    "privileged": ("host", "Privileged", _flag),
    "publish_all_ports": ("host", "PublishAllPorts", _flag),
    "read_only": ("host", "ReadonlyRootfs", _flag),
    "restart_policy": ("host", "RestartPolicy", _restart_policy),
    "runtime": ("host", "Runtime", _text),
    "security_opt": ("host", "SecurityOpt", _texts),
    "shm_size": ("host", "ShmSize", _size_bytes),
    "sysctls": ("host", "Sysctls", _strings),
    "tmpfs": ("host", "Tmpfs", _tmpfs),
    "ulimits": ("host", "Ulimits", _ulimits),
    "userns_mode": ("host", "UsernsMode", _text),
}
