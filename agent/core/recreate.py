"""The same container from another image: out of what the engine says of the old one, what to ask it for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from agent.core.carried_volumes import carry_volumes
from agent.core.endpoints import (
    PER_ENDPOINT,
    asked_endpoints,
    has_endpoints,
    primary_network,
)
from agent.core.operator_config import operator_config

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recreation:
    """How to make a container once more.

    Attributes:
        name: Its name, without a slash.
        config: The body of `POST /containers/create`.
        networks: Further networks to connect it to before it is started, each with its `EndpointSettings`. Engines of
            API 1.44 and later take them all at creation: then there are none here.
    """

    name: str
    config: Json
    networks: tuple[tuple[str, Json], ...]


def recreated(
    old: Json,
    old_image: Json,
    new_image: str,
    *,
    api: tuple[int, int],
    labels: Mapping[str, str],
    is_podman: bool = False,
) -> Recreation:
    """How to make a container like `old` from `new_image`.

    Everything is taken over as it is, whether we know it or not, but for what the old image brought, what the engine
    made up for the old container alone, and what it reports but would refuse to be asked for.

    Args:
        old: The container's inspection.
        old_image: The inspection of the image it was made from; `{}` if that is gone.
        api: The version of the API that is spoken with the engine.
        labels: To be added to the container's own.
    """
    short_id = str(old.get("Id"))[:12]
    host: Json = deepcopy(old.get("HostConfig") or {})
    config = operator_config(
        deepcopy(old.get("Config") or {}),
        old_image.get("Config") or {},
        published=(host.get("PortBindings") or {}).keys(),
    )
    config["Image"] = new_image
    config["Labels"] = {**(config.get("Labels") or {}), **labels}
    _drop_made_up_names(config, host, short_id)
    carry_volumes(host, old.get("Mounts") or [])
    if is_podman:
        _suit_podman(host)
    config["HostConfig"] = host
    if has_endpoints(_mode(host), is_podman=is_podman):
        reported = (old.get("NetworkSettings") or {}).get("Networks") or {}
        networks = _ask_for_networks(config, reported, short_id, api)
    else:
        networks = ()
        _drop_endpoint_settings(config, host)
    return Recreation(str(old.get("Name")).removeprefix("/"), config, networks)


def is_auto_remove(inspected: Json) -> bool:
    """Tells whether the engine removes the container as soon as it stops."""
    return (inspected.get("HostConfig") or {}).get("AutoRemove") is True


def dependent(inspected: Json, *, old_id: str, old_name: str) -> bool:
    """Tells whether a container uses the network, the processes or the IPC of the old one, and so cannot outlive it.

    Args:
        inspected: The container's inspection.
        old_id: 64 characters.
        old_name: Without a slash.
    """
    host = inspected.get("HostConfig") or {}
    return any(_refers(reference, old_id, old_name) for _, reference in _shared(host))


def redirected(recreation_config: Json, *, old_id: str, old_name: str, new_id: str) -> Json:
    """A dependent's `Recreation.config` with every reference to the old container pointing at the new one."""
    config = deepcopy(recreation_config)
    host = config.get("HostConfig") or {}
    for key, reference in list(_shared(host)):
        if _refers(reference, old_id, old_name):
            host[key] = f"container:{new_id}"
    if sources := host.get("VolumesFrom"):
        host["VolumesFrom"] = [_volumes_from(each, old_id, old_name, new_id) for each in sources]
    return config


def _drop_made_up_names(config: Json, host: Json, short_id: str) -> None:
    # With the host's UTS namespace the engine fills in the host's own name, and refuses to be asked for one.
    if config.get("Hostname") == short_id or host.get("UTSMode") == "host":
        config.pop("Hostname", None)
    podmans = f"HOSTNAME={short_id}"
    config["Env"] = [entry for entry in config["Env"] if entry != podmans]


def _suit_podman(host: Json) -> None:
    """Podman reports a CPU limit in two ways of which it takes one, and a swappiness that control groups v2 lack."""
    if nano_cpus := host.pop("NanoCpus", 0):
        host["CpuPeriod"], host["CpuQuota"] = 100_000, nano_cpus // 10_000
    host.pop("MemorySwappiness", None)


# --- Networks


def _ask_for_networks(
    config: Json, networks: Json, short_id: str, api: tuple[int, int]
) -> tuple[tuple[str, Json], ...]:
    """Writes into `config` what is asked for at creation, and returns the rest."""
    host = config["HostConfig"]
    primary = primary_network(networks, _mode(host))
    if primary is None:
        return ()
    if (_mode(host), primary) != ("default", "bridge"):
        host["NetworkMode"] = primary
    container_mac = str(config.get("MacAddress") or "")
    asked = asked_endpoints(
        networks, primary, short_id=short_id, container_mac=container_mac, api=api
    )
    later: dict[str, Json] = {}
    if api >= PER_ENDPOINT:
        config.pop("MacAddress", None)
    else:
        later = {name: asked.pop(name) for name in networks if name != primary}
    if asked != {"bridge": {}}:
        config["NetworkingConfig"] = {"EndpointsConfig": asked}
    return tuple(later.items())


def _drop_endpoint_settings(config: Json, host: Json) -> None:
    """Without a network of its own a container cannot ask for any of these, though the engine may report them."""
    config.pop("MacAddress", None)
    if _mode(host).startswith("container:"):
        for key in ("Hostname", "Domainname", "ExposedPorts"):
            config.pop(key, None)
        for key in ("PortBindings", "PublishAllPorts", "Links"):
            host.pop(key, None)


def _mode(host: Json) -> str:
    return str(host.get("NetworkMode") or "default")


# --- References to another container


def _shared(host: Json) -> Iterator[tuple[str, str]]:
    """The namespaces that are another container's, and the reference to it: a name or an ID."""
    for key in ("NetworkMode", "PidMode", "IpcMode"):
        scheme, _, reference = str(host.get(key) or "").partition(":")
        if scheme == "container" and reference:
            yield key, reference


def _refers(reference: str, old_id: str, old_name: str) -> bool:
    # Less of an ID might as well be the name of a third one.
    is_id = len(reference) >= 12 and old_id.startswith(reference)
    return is_id or reference.removeprefix("/") == old_name


def _volumes_from(source: str, old_id: str, old_name: str, new_id: str) -> str:
    reference, colon, mode = source.partition(":")
    return new_id + colon + mode if _refers(reference, old_id, old_name) else source
