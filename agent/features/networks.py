"""Networks: listed, created, deleted, pruned."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent.core.journal import parse_instant
from agent.core.ledger import Entry, Repeat
from agent.core.network_shapes import (
    BUILT_IN,
    InvalidNetwork,
    network,
    network_config,
    network_list,
)
from agent.core.own_container import OwnContainer
from agent.core.usage import Usage, usage
from agent.features.deadlines import ANSWER_S, LIST_S, PROBE_S
from agent.ports import CommandFailed, Engine, EngineError, EngineRefused, Handler, Json, NotFound

ACTION_LIST_S, CREATE_S, DELETE_S = 15.0, 30.0, 60.0
"""How long the server waits; for `list_networks` as an action less than for the command."""

STEP_S = 10.0
"""For one call of several."""

DELETED: Json = {"success": True}

_KEPT_OF_AN_ENDPOINT = ("IPAMConfig", "Aliases", "Links", "DriverOpts", "MacAddress")
"""What somebody chose of a container's place in a network; the rest the engine makes up."""

log = logging.getLogger("agent.networks")


class Nothing(BaseModel):
    """The command needs no payload."""


class CreateNetwork(BaseModel):
    """`subnet` and `gateway` may be empty: the engine chooses."""

    name: str = Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    driver: str = Field("bridge", min_length=1, max_length=255)
    subnet: str | None = Field("", max_length=100)
    gateway: str | None = Field("", max_length=100)
    internal: bool = False


class DeleteNetwork(BaseModel):
    """`network_id` has 12 characters; a name does as well."""

    model_config = ConfigDict(strict=True)

    network_id: str = Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    force: bool = False


def networks(engine: Engine, own: OwnContainer | None) -> list[Handler[Any]]:
    """The commands. `own` is the container we run in: it is not cut off from the server."""
    do = _Networks(engine, own)
    return [
        Handler("list_networks", Nothing, do.list, lambda _: LIST_S),
        Handler(
            "create_network",
            CreateNetwork,
            do.create,
            lambda _: CREATE_S,
            Repeat.PROBE,
            _by_name,
            probe=do.was_created,
        ),
        Handler(
            "delete_network",
            DeleteNetwork,
            do.delete,
            lambda _: DELETE_S,
            Repeat.PROBE,
            lambda payload: f"network {payload.network_id}",
            subject=lambda payload: payload.network_id,
            probe=do.was_deleted,
        ),
        # Once more removes what has become unused since: that is what was asked for.
        Handler(
            "prune_networks", Nothing, do.prune, lambda _: DELETE_S, Repeat.REDO, _all_networks
        ),
    ]


def network_operations(engine: Engine) -> list[Handler[Any]]:
    """The same as container actions, which the server knows and does not send yet."""
    do = _Networks(engine, None)

    async def list_(_: Nothing, __: str) -> Json:
        return {"networks": network_list(await engine.networks(deadline_s=STEP_S), Usage())}

    async def create(payload: CreateNetwork, command_id: str) -> Json:
        return {"network_id": (await do.create(payload, command_id))["id"]}

    async def was_created(entry: Entry) -> Json | None:
        made = await do.was_created(entry)
        return None if made is None else {"network_id": made["id"]}

    return [
        Handler("list_networks", Nothing, list_, lambda _: ACTION_LIST_S),
        Handler(
            "create_network",
            CreateNetwork,
            create,
            lambda _: CREATE_S,
            Repeat.PROBE,
            _by_name,
            probe=was_created,
        ),
    ]


def _by_name(payload: CreateNetwork) -> str:
    return payload.name


def _all_networks(_: Nothing) -> str:
    return "networks"


class _Networks:
    def __init__(self, engine: Engine, own: OwnContainer | None) -> None:
        self._engine, self._own = engine, own

    async def list(self, _: Nothing, __: str) -> list[Json]:
        found = await self._engine.networks(deadline_s=STEP_S)
        used = usage(await self._engine.containers(deadline_s=LIST_S - ANSWER_S - STEP_S))
        return network_list(found, used)

    async def create(self, payload: CreateNetwork, _: str) -> Json:
        try:
            config = network_config(
                payload.name,
                payload.driver,
                subnet=payload.subnet or "",
                gateway=payload.gateway or "",
                internal=payload.internal,
            )
        except InvalidNetwork as invalid:
            raise CommandFailed(str(invalid)) from None
        network_id = await self._engine.create_network(config, deadline_s=CREATE_S / 2)
        return await self._look(network_id)

    async def delete(self, payload: DeleteNetwork, _: str) -> Json:
        # The words of these texts are what the server makes its own answers of.
        try:
            found = await self._engine.inspect_network(payload.network_id, deadline_s=STEP_S)
        except NotFound:
            raise CommandFailed(f"network {payload.network_id} not found") from None
        if found.get("Name") in BUILT_IN:
            raise CommandFailed("a built-in network cannot be deleted")
        attached = _attached(found)
        if attached and not payload.force:
            raise CommandFailed(
                f"the network is in use by {len(attached)} connected containers "
                f"({', '.join(sorted(attached.values()))[:300]}): disconnect them, or delete by force"
            )
        self._spare_ourselves(attached)
        await self._remove(str(found.get("Id")), attached)
        return DELETED

    async def prune(self, _: Nothing, __: str) -> Json:
        answer = await self._engine.prune_networks(deadline_s=DELETE_S - ANSWER_S)
        names = answer.get("NetworksDeleted") or []
        return {"removed_count": len(names), "networks_removed": names}

    async def was_created(self, entry: Entry) -> Json | None:
        """The name may have been there before: what we made is not older than the command."""
        for found in await self._engine.networks(deadline_s=PROBE_S):
            made_at = parse_instant(str(found.get("Created")))
            began_at = parse_instant(entry.began_at)
            if found.get("Name") == entry.subject and made_at and began_at and made_at >= began_at:
                return network(found, Usage())
        return None

    async def was_deleted(self, entry: Entry) -> Json | None:
        try:
            await self._engine.inspect_network(entry.subject, deadline_s=PROBE_S)
        except NotFound:
            return DELETED
        return None

    async def _look(self, network_id: str) -> Json:
        return network(await self._engine.inspect_network(network_id, deadline_s=STEP_S), Usage())

    def _spare_ourselves(self, attached: dict[str, str]) -> None:
        if self._own is not None and any(map(self._own.is_meant_by, attached)):
            raise CommandFailed(
                "the agent itself is a connected container of this network and would lose its way to the "
                "server: use `docker network rm` on the host"
            )

    async def _remove(self, network_id: str, attached: dict[str, str]) -> None:
        """Disconnects each container first. If the network stays after all, they are connected again as they were."""
        async with AsyncExitStack() as undo:
            for container in attached:
                endpoint = await self._endpoint(container, network_id)
                await self._engine.disconnect(network_id, container, force=True, deadline_s=STEP_S)
                undo.push_async_callback(self._reconnect, network_id, container, endpoint)
            try:
                await self._engine.remove_network(network_id, deadline_s=STEP_S)
            except EngineRefused as refused:
                if "active endpoints" in str(refused):
                    raise CommandFailed(
                        "the network is in use: a container was connected to it just now"
                    ) from None
                raise
            undo.pop_all()

    async def _endpoint(self, container: str, network_id: str) -> Json:
        try:
            inspected = await self._engine.inspect_container(container, deadline_s=STEP_S)
        except NotFound:
            return {}
        endpoints = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
        for endpoint in endpoints.values():
            if endpoint.get("NetworkID") == network_id:
                return {k: endpoint[k] for k in _KEPT_OF_AN_ENDPOINT if endpoint.get(k)}
        return {}

    async def _reconnect(self, network_id: str, container: str, endpoint: Json) -> None:
        try:
            await self._engine.connect(network_id, container, endpoint, deadline_s=STEP_S)
        except EngineError as error:
            log.error(
                "%s was not connected to network %s again: %s",
                container[:12],
                network_id[:12],
                error,
            )


def _attached(found: Json) -> dict[str, str]:
    """Names of the containers in an inspected network, by ID; other endpoints, of a swarm, have no container's ID."""
    containers = found.get("Containers") or {}
    return {
        container_id: str((endpoint or {}).get("Name") or container_id[:12])
        for container_id, endpoint in containers.items()
        if len(container_id) == 64
    }
