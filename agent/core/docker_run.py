"""The words of the `docker run` that makes a container once more, for whoever types them on the host.

No value of the environment or of a label is in them, nor anything else that is known to be a place for secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from agent.core.carried_volumes import carry_volumes
from agent.core.endpoints import endpoint, has_endpoints, primary_network

Json = dict[str, Any]

_SWITCHES = (
    ("AutoRemove", "--rm"),
    ("Privileged", "--privileged"),
    ("ReadonlyRootfs", "--read-only"),
    ("Init", "--init"),
    ("OomKillDisable", "--oom-kill-disable"),
)

_VALUES: tuple[tuple[str, str, object], ...] = (
    ("PidMode", "--pid", ""),
    ("UTSMode", "--uts", ""),
    ("IpcMode", "--ipc", "private"),
    ("UsernsMode", "--userns", ""),
    ("CgroupnsMode", "--cgroupns", "private"),
    ("CgroupParent", "--cgroup-parent", ""),
    ("Runtime", "--runtime", "runc"),
    ("Memory", "--memory", 0),
    ("MemoryReservation", "--memory-reservation", 0),
    ("CpuShares", "--cpu-shares", 0),
    ("CpuPeriod", "--cpu-period", 0),
    ("CpuQuota", "--cpu-quota", 0),
    ("CpusetCpus", "--cpuset-cpus", ""),
    ("CpusetMems", "--cpuset-mems", ""),
    ("PidsLimit", "--pids-limit", 0),
    ("BlkioWeight", "--blkio-weight", 0),
    ("OomScoreAdj", "--oom-score-adj", 0),
    ("ShmSize", "--shm-size", 64 << 20),
)
"""Each with what an engine fills in by itself; nothing, an empty text and zero are nobody's wish either."""

_LISTS = (
    ("CapDrop", "--cap-drop"),
    ("CapAdd", "--cap-add"),
    ("GroupAdd", "--group-add"),
    ("ExtraHosts", "--add-host"),
    ("Dns", "--dns"),
    ("DnsOptions", "--dns-option"),
    ("DnsSearch", "--dns-search"),
    ("DeviceCgroupRules", "--device-cgroup-rule"),
)

_LOGS_ON_THE_HOST = frozenset({"journald", "json-file", "local", "none"})
"""Log drivers whose options are limits and names. Those of others may be tokens, or addresses with a password."""


@dataclass(frozen=True, slots=True)
class DockerRun:
    """How to make a container once more. All words are as they are meant, not yet quoted for a shell.

    Attributes:
        name: Its name, without a slash.
        options: What comes after `docker run -d`.
        connections: What comes after `docker network connect`, for each further network, once it is there.
        unsaid: Further options that it was made with, whose values must not, or cannot, be told.
        has_arguments: Whether any come after the image, the image's own or the operator's.
    """

    name: str
    options: tuple[str, ...]
    connections: tuple[tuple[str, ...], ...]
    unsaid: tuple[str, ...]
    has_arguments: bool


def docker_run(own: Mapping[str, Any]) -> DockerRun:
    """The same container from another image, as an operator would ask for it.

    What the image brings cannot be told from what the operator gave: entrypoint, working directory and health check
    are left to the new image, a user is asked for whosesoever it was.

    Args:
        own: The container's inspection; what is missing counts as not set.
    """
    config: Json = own.get("Config") or {}
    host: Json = deepcopy(own.get("HostConfig") or {})
    carry_volumes(host, own.get("Mounts") or [])
    name = str(own.get("Name") or "").removeprefix("/") or "dockmon-agent"
    short_id = str(own.get("Id"))[:12]
    networks: Json = (own.get("NetworkSettings") or {}).get("Networks") or {}
    network, connections = _networks(config, host, networks, short_id)
    security, is_all_secure = _security(host)
    log, is_all_logged = _log(host)
    unsaid = (
        ("--security-opt seccomp=FILE", is_all_secure),
        ("--log-opt", is_all_logged),
    )
    options = [
        *("--name", name),
        *network,
        *_restart(host),
        *_identity(config, host, short_id),
        *_process(config),
        *(word for key, word in _SWITCHES if host.get(key) is True),
        *_values(host),
        *_memory_swap(host),
        *_cpus(host),
        *_each(_LISTS, host),
        *security,
        *_objects(host),
        *_storage(host),
        *log,
    ]
    return DockerRun(
        name,
        tuple(options),
        tuple((*words, name) for words in connections),
        tuple(word for word, is_said in unsaid if not is_said),
        has_arguments=bool(config.get("Cmd")),
    )


def _option(flag: str, values: Iterable[object]) -> list[str]:
    return [word for value in values for word in (flag, str(value))]


def _each(flags: Iterable[tuple[str, str]], asked: Json) -> list[str]:
    return [word for key, flag in flags for word in _option(flag, asked.get(key) or ())]


def _restart(host: Json) -> list[str]:
    policy: Json = host.get("RestartPolicy") or {}
    name, most = str(policy.get("Name") or "no"), policy.get("MaximumRetryCount") or 0
    return [] if name == "no" else ["--restart", f"{name}:{most}" if most else name]


def _identity(config: Json, host: Json, short_id: str) -> list[str]:
    asked = {"User": config.get("User")}
    # The engine makes up the short ID. Who shares another's name cannot ask for one.
    if host.get("UTSMode") != "host" and not _mode(host).startswith("container:"):
        asked["Hostname"] = config.get("Hostname") if config.get("Hostname") != short_id else ""
        asked["Domainname"] = config.get("Domainname")
    flags = (("User", "--user"), ("Hostname", "--hostname"), ("Domainname", "--domainname"))
    return [word for key, flag in flags if asked.get(key) for word in (flag, str(asked[key]))]


def _process(config: Json) -> list[str]:
    timeout = config.get("StopTimeout")
    return [
        *(["--tty"] if config.get("Tty") else []),
        *(["--interactive"] if config.get("OpenStdin") else []),
        *([] if timeout is None else ["--stop-timeout", str(timeout)]),
    ]


def _values(host: Json) -> list[str]:
    return [
        word
        for key, flag, usual in _VALUES
        if host.get(key) and host[key] != usual
        for word in (flag, str(host[key]))
    ]


def _memory_swap(host: Json) -> list[str]:
    swap = host.get("MemorySwap") or 0
    # Twice the memory is what an engine makes of none.
    return ["--memory-swap", str(swap)] if swap not in (0, 2 * (host.get("Memory") or 0)) else []


def _cpus(host: Json) -> list[str]:
    whole, billionths = divmod(host.get("NanoCpus") or 0, 10**9)
    if not whole and not billionths:
        return []
    return ["--cpus", f"{whole}.{billionths:09}".rstrip("0").rstrip(".")]


def _security(host: Json) -> tuple[list[str], bool]:
    """Its options, and whether that is all of them: of a seccomp profile the engine has the text and not the file."""
    asked = [str(option) for option in host.get("SecurityOpt") or ()]
    told = [option for option in asked if not option.startswith(("seccomp={", "seccomp:{"))]
    is_all_told = len(told) == len(asked)
    # This one only the client knows, and it asks the engine for two empty lists.
    if host.get("MaskedPaths") == [] and not host.get("Privileged"):
        told.append("systempaths=unconfined")
    return _option("--security-opt", told), is_all_told


def _objects(host: Json) -> list[str]:
    """What the engine has as objects and a client writes as one word."""
    devices = [
        ":".join(str(device[key]) for key in ("PathOnHost", "PathInContainer", "CgroupPermissions"))
        for device in host.get("Devices") or ()
    ]
    ulimits = [
        f"{limit['Name']}={limit['Soft']}:{limit['Hard']}" for limit in host.get("Ulimits") or ()
    ]
    return [
        *_option("--device", devices),
        *_option("--ulimit", ulimits),
        *_option("--sysctl", _pairs(host.get("Sysctls"))),
    ]


def _pairs(values: Json | None) -> list[str]:
    return [f"{key}={value}" for key, value in (values or {}).items()]


def _log(host: Json) -> tuple[list[str], bool]:
    """Its options, and whether that is all of them. Without options `json-file` is what the engine takes by itself."""
    log: Json = host.get("LogConfig") or {}
    driver, config = str(log.get("Type") or "json-file"), log.get("Config") or {}
    if driver == "json-file" and not config:
        return [], True
    is_told = driver in _LOGS_ON_THE_HOST
    told = _option("--log-opt", _pairs(config)) if is_told else []
    return ["--log-driver", driver, *told], is_told or not config


# --- Storage


def _storage(host: Json) -> list[str]:
    tmpfs = [
        f"{path}:{options}" if options else path
        for path, options in (host.get("Tmpfs") or {}).items()
    ]
    return [
        *_option("-v", host.get("Binds") or ()),
        *_option("--mount", (_mount(mount) for mount in host.get("Mounts") or ())),
        *_option("--tmpfs", tmpfs),
        *_option("--volumes-from", host.get("VolumesFrom") or ()),
    ]


def _mount(mount: Json) -> str:
    """The CSV of one mount.

    A volume's driver and labels are left out: the volume is there and keeps them, and they may hold a password.
    """
    source = mount.get("Source")
    fields = [
        f"type={mount.get('Type')}",
        *([f"source={source}"] if source else []),
        f"target={mount.get('Target')}",
        *(["readonly"] if mount.get("ReadOnly") else []),
        *_bind_fields(mount.get("BindOptions") or {}),
        *_volume_fields(mount.get("VolumeOptions") or {}),
        *_tmpfs_fields(mount.get("TmpfsOptions") or {}),
    ]
    return ",".join(map(_csv, fields))


def _bind_fields(options: Json) -> list[str]:
    propagation = options.get("Propagation")
    recursion = (
        ("NonRecursive", "disabled"),
        ("ReadOnlyNonRecursive", "writable"),
        ("ReadOnlyForceRecursive", "readonly"),
    )
    return [
        *([f"bind-propagation={propagation}"] if propagation else []),
        *(f"bind-recursive={word}" for key, word in recursion if options.get(key)),
    ]


def _volume_fields(options: Json) -> list[str]:
    subpath = options.get("Subpath")
    return [
        *(["volume-nocopy"] if options.get("NoCopy") else []),
        *([f"volume-subpath={subpath}"] if subpath else []),
    ]


def _tmpfs_fields(options: Json) -> list[str]:
    size, mode = options.get("SizeBytes"), options.get("Mode")
    return [
        *([f"tmpfs-size={size}"] if size else []),
        *([f"tmpfs-mode={mode:o}"] if mode else []),
    ]


def _csv(field: str) -> str:
    if any(letter in field for letter in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field


# --- Networks


def _networks(
    config: Json, host: Json, networks: Json, short_id: str
) -> tuple[list[str], list[list[str]]]:
    """Options, and for each further network what to connect it with, the container's name left out."""
    mode = _mode(host)
    primary = primary_network(networks, mode) if has_endpoints(mode, is_podman=False) else None
    if primary is None:
        asked = [] if mode in ("default", "bridge") else ["--network", mode]
        return asked + (_ports(host) if has_endpoints(mode, is_podman=False) else []), []
    mac_address = config.get("MacAddress")
    asked = [
        *([] if primary == "bridge" else ["--network", primary]),
        *_endpoint_options(primary, networks, short_id, alias="--network-alias"),
        *(["--mac-address", str(mac_address)] if mac_address else []),
        *_option("--link", map(_link, host.get("Links") or ())),
        *_ports(host),
    ]
    further = [
        [*_endpoint_options(name, networks, short_id, alias="--alias"), name]
        for name in networks
        if name != primary
    ]
    return asked, further


def _endpoint_options(name: str, networks: Json, short_id: str, *, alias: str) -> list[str]:
    asked = endpoint(name, networks[name], short_id=short_id, mac_address="")
    addresses: Json = asked.get("IPAMConfig") or {}
    ones = (("IPv4Address", "--ip"), ("IPv6Address", "--ip6"))
    return [
        *(word for key, flag in ones if addresses.get(key) for word in (flag, str(addresses[key]))),
        *_option("--link-local-ip", addresses.get("LinkLocalIPs") or ()),
        *_option(alias, asked.get("Aliases") or ()),
        *_option("--link", asked.get("Links") or ()),
    ]


def _link(link: object) -> str:
    """From `/other:/us/alias`, as the default network has it."""
    other, _, alias = str(link).partition(":")
    return f"{other.removeprefix('/')}:{alias.rpartition('/')[2]}"


def _ports(host: Json) -> list[str]:
    published = [
        _port(port, binding)
        for port, bindings in (host.get("PortBindings") or {}).items()
        for binding in bindings or ()
    ]
    return [*(["-P"] if host.get("PublishAllPorts") else []), *_option("-p", published)]


def _port(port: str, binding: Json) -> str:
    address, number = str(binding.get("HostIp") or ""), str(binding.get("HostPort") or "")
    if address:
        address = f"[{address}]" if ":" in address else address
        return f"{address}:{number}:{port}"
    return f"{number}:{port}" if number else port


def _mode(host: Json) -> str:
    return str(host.get("NetworkMode") or "default")
