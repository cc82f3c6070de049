"""Makes a container once more, from what the engine says of it."""

from __future__ import annotations

from agent.core.container_update import UPDATE_LABEL
from agent.core.recreate import Recreation, recreated
from agent.features.container_update.looking import LOOK_S
from agent.ports import Engine, EngineRefused, Json, NotFound

CREATE_S = 45.0
CONNECT_S = 20.0


class Maker:
    """For one update, whose label is on everything it makes."""

    def __init__(self, engine: Engine, command_id: str) -> None:
        self._engine, self._command_id = engine, command_id

    async def recreation(self, old: Json, image: str) -> Recreation:
        """How a container like `old` (its inspection) would be made from `image` (a reference or an ID)."""
        try:
            old_image = await self._engine.inspect_image(str(old.get("Image")), deadline_s=LOOK_S)
        except NotFound:  # removed by force, or pruned: what it contributed cannot be told any more
            old_image = {}
        facts = await self._engine.facts(deadline_s=LOOK_S)
        return recreated(
            old,
            old_image,
            image,
            api=await self._engine.api_version(deadline_s=LOOK_S),
            labels={UPDATE_LABEL: self._command_id},
            host_name=facts.name,
            is_podman=facts.is_podman,
        )

    async def make(self, recreation: Recreation, name: str) -> str:
        """Creates it under `name`, on all its networks and not running; returns its ID (64 characters)."""
        made = await self._engine.create(recreation.config, name, deadline_s=CREATE_S)
        for network, endpoint in recreation.networks:
            try:
                await self._engine.connect(network, made, endpoint, deadline_s=CONNECT_S)
            except EngineRefused as error:
                # A container that lacks a network is not the same container.
                text = f"it cannot be connected to the network {network}: {error}"
                raise EngineRefused(text, error.status) from error
        return made
