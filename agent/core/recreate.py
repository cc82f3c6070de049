"""The same container from another image: out of what the engine says of the old one, what to ask it for."""

from __future__ import annotations

from collections.abc import Mapping
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
    host_name: str = "",
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
        host_name: What the engine calls its host; "" if that is not known.
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
    _drop_made_up_names(config, host, short_id, host_name)
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


def _drop_made_up_names(config: Json, host: Json, short_id: str, host_name: str) -> None:
    # With the host's network the engine fills in the host's own name; with its UTS namespace as well, and then it
    # refuses to be asked for one.
    made_up = {short_id, host_name} if _mode(host) == "host" else {short_id}
    if config.get("Hostname") in made_up or host.get("UTSMode") == "host":
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
