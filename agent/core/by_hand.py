"""The command an operator runs on the host where the agent cannot be updated in place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any

Json = Mapping[str, Any]

_COMPOSE = "com.docker.compose.project"
_OWN_NETWORK = ("", "default", "bridge", "host", "none")


def by_hand(own: Json | None, image: str) -> str:
    """What to do, as a line for a shell. Nothing of the environment and of labels: tokens are in there.

    Args:
        own: The inspection of the container we run in, as the Engine API gives it; None natively.
    """
    if own is None:
        return "install the new release on the host, as docs/operate/updates.md says"
    labels = (own.get("Config") or {}).get("Labels") or {}
    if directory := labels.get(f"{_COMPOSE}.working_dir"):
        return f"on the host: {_with_compose(str(directory), labels)}"
    name = str(own.get("Name") or "").removeprefix("/") or "dockmon-agent"
    return (
        f"on the host: {' && '.join(_commands(own, name, image))}; give it the same --env, --env-file, --label and "
        f"--log-opt as before, and when the host is online: docker rm {quote(name + '-old')}"
    )


def _with_compose(directory: str, labels: Json) -> str:
    files = str(labels.get(f"{_COMPOSE}.config_files") or "").split(",")
    words = ["docker", "compose"]
    if project := labels.get(_COMPOSE):
        words += ["-p", str(project)]
    for file in filter(None, files):
        words += ["-f", file]
    if environment := labels.get(f"{_COMPOSE}.environment_file"):
        words += ["--env-file", str(environment)]
    service = [str(name)] if (name := labels.get("com.docker.compose.service")) else []
    pull, up = _line([*words, "pull", *service]), _line([*words, "up", "-d", *service])
    return f"cd {quote(directory)} && {pull} && {up}"


def _commands(own: Json, name: str, image: str) -> Iterator[str]:
    """The old container is stopped and kept: two agents with one identity would take the server from each other."""
    yield _line(["docker", "pull", image])
    yield _line(["docker", "stop", name])
    yield _line(["docker", "rename", name, f"{name}-old"])
    yield _line(["docker", "run", "-d", "--name", name, *_options(own), image])
    yield from (_line(["docker", "network", "connect", *words, name]) for words in _joined(own))


def _options(own: Json) -> Iterator[str]:
    """The flags of `docker run` that made it."""
    config, host = own.get("Config") or {}, own.get("HostConfig") or {}
    yield from _of_its_life(config, host, str(own.get("Id") or ""))
    yield from _mounts(own, host)
    yield from _networks(own, host)
    yield from _privileges(host)
    yield from _limits(host)


def _of_its_life(config: Json, host: Json, own_id: str) -> Iterator[str]:
    policy = host.get("RestartPolicy") or {}
    if restart := str(policy.get("Name") or ""):
        count = policy.get("MaximumRetryCount")
        yield from ("--restart", f"{restart}:{count}" if count else restart)
    if host.get("AutoRemove"):
        yield "--rm"
    if user := config.get("User"):
        yield from ("--user", str(user))
    hostname = str(config.get("Hostname") or "")
    has_own_name = not str(host.get("NetworkMode") or "").startswith(("host", "container:"))
    if hostname and has_own_name and hostname != own_id[:12]:
        yield from ("--hostname", hostname)
    if host.get("Init"):
        yield "--init"


def _mounts(own: Json, host: Json) -> Iterator[str]:
    binds, mounts = [str(bind) for bind in host.get("Binds") or ()], host.get("Mounts") or ()
    for bind in binds:
        yield from ("-v", bind)
    for mount in mounts:
        yield from ("--mount", _mount(mount))
    for path, options in (host.get("Tmpfs") or {}).items():
        yield from ("--tmpfs", f"{path}:{options}" if options else str(path))
    named = {bind.split(":")[1] for bind in binds if ":" in bind}
    named |= {str(mount.get("Target")) for mount in mounts}
    for found in own.get("Mounts") or ():  # a volume that nobody named: what is in it is wanted
        path = str(found.get("Destination"))
        if found.get("Type") == "volume" and path not in named:
            yield from ("-v", f"{found.get('Name')}:{path}")


def _mount(mount: Json) -> str:
    """The value of `--mount`, which is a line of CSV."""
    fields = [f"type={mount.get('Type')}"]
    if mount.get("Source"):
        fields.append(f"source={mount['Source']}")
    fields.append(f"target={mount.get('Target')}")
    if mount.get("ReadOnly"):
        fields.append("readonly")
    if propagation := (mount.get("BindOptions") or {}).get("Propagation"):
        fields.append(f"bind-propagation={propagation}")
    tmpfs = mount.get("TmpfsOptions") or {}
    if tmpfs.get("SizeBytes"):
        fields.append(f"tmpfs-size={tmpfs['SizeBytes']}")
    if tmpfs.get("Mode"):
        fields.append(f"tmpfs-mode={tmpfs['Mode']:o}")
    return ",".join(f'"{field}"' if "," in field else field for field in fields)


def _networks(own: Json, host: Json) -> Iterator[str]:
    mode = str(host.get("NetworkMode") or "")
    if mode not in ("", "default", "bridge"):
        yield from ("--network", mode)
    if mode not in _OWN_NETWORK and not mode.startswith("container:"):
        yield from _endpoint(own, mode, alias="--network-alias")
    for line in host.get("ExtraHosts") or ():
        yield from ("--add-host", str(line))
    for address in host.get("Dns") or ():
        yield from ("--dns", str(address))


def _joined(own: Json) -> Iterator[list[str]]:
    """What `docker network connect` is told, for every network beside the first."""
    mode = str((own.get("HostConfig") or {}).get("NetworkMode") or "")
    if mode in ("host", "none") or mode.startswith("container:"):
        return
    first = "bridge" if mode in ("", "default") else mode
    for network in (own.get("NetworkSettings") or {}).get("Networks") or {}:
        if network != first:
            yield [*_endpoint(own, network, alias="--alias"), network]


def _endpoint(own: Json, network: str, *, alias: str) -> Iterator[str]:
    networks = (own.get("NetworkSettings") or {}).get("Networks") or {}
    endpoint = networks.get(network) or {}
    addresses = endpoint.get("IPAMConfig") or {}
    if address := addresses.get("IPv4Address"):
        yield from ("--ip", str(address))
    if address := addresses.get("IPv6Address"):
        yield from ("--ip6", str(address))
    for name in endpoint.get("Aliases") or ():
        if name != str(own.get("Id"))[:12]:  # that one the engine gives
            yield from (alias, str(name))


def _privileges(host: Json) -> Iterator[str]:
    if host.get("Privileged"):
        yield "--privileged"
    if host.get("ReadonlyRootfs"):
        yield "--read-only"
    for flag, key in (
        ("--group-add", "GroupAdd"),
        ("--cap-drop", "CapDrop"),
        ("--cap-add", "CapAdd"),
        ("--security-opt", "SecurityOpt"),
    ):
        for value in host.get(key) or ():
            yield from (flag, str(value))
    for flag, key in (("--pid", "PidMode"), ("--uts", "UTSMode"), ("--userns", "UsernsMode")):
        if value := host.get(key):
            yield from (flag, str(value))
    # "private" and "shareable" are what an engine gives by itself.
    if re.match("host|none|container:", ipc := str(host.get("IpcMode") or "")):
        yield from ("--ipc", ipc)


def _limits(host: Json) -> Iterator[str]:
    if memory_bytes := host.get("Memory"):
        yield from ("--memory", str(memory_bytes))
    if nano_cpus := host.get("NanoCpus"):
        yield from ("--cpus", f"{nano_cpus / 1e9:g}")
    if shares := host.get("CpuShares"):
        yield from ("--cpu-shares", str(shares))
    if (pids := host.get("PidsLimit")) and pids > 0:
        yield from ("--pids-limit", str(pids))


def _line(words: list[str]) -> str:
    return " ".join(map(quote, words))
