"""Volumes: each refusal in the words that the server makes its own answers of."""

from __future__ import annotations

import pytest
from fakes.engine import FakeEngine
from features.asking import Asking

from agent.features.volumes import volume_operations, volumes
from agent.ports import CommandFailed


class World(Asking):
    """An engine with the volumes `data`, which `web` mounts, and `spare`, which nobody does."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.web = self.engine.add("web", host_config={"Binds": ["data:/data"]})
        self.engine.volume_store.create({"Name": "spare"})
        super().__init__(volumes(self.engine))


async def test_the_list_says_who_mounts_them() -> None:
    """A container that has stopped still does."""
    world = World()
    data, spare = await world.ask("list_volumes")
    assert (data["name"], data["containers"]) == ("data", [{"id": world.web[:12], "name": "web"}])
    assert (spare["name"], spare["in_use"]) == ("spare", False)


async def test_without_volumes_the_list_is_empty() -> None:
    """Never null, which the server takes for an error."""
    assert await Asking(volumes(FakeEngine())).ask("list_volumes") == []


async def test_a_volume_is_created() -> None:
    """One that exists is what was asked for."""
    world = World()
    assert await world.ask("create_volume", name="fresh") == {"name": "fresh"}
    assert await world.ask("create_volume", name="data") == {"name": "data"}


async def test_a_volume_in_use() -> None:
    """In the words that make it a conflict at the server."""
    with pytest.raises(CommandFailed, match="the volume is in use"):
        await World().ask("delete_volume", volume_name="data", force=True)


async def test_a_volume_that_is_not_there() -> None:
    """The engine says "no such volume", which the server does not understand: "not found" it does."""
    with pytest.raises(CommandFailed, match="volume nothing not found"):
        await World().ask("delete_volume", volume_name="nothing")


async def test_a_volume_is_deleted_once() -> None:
    """A repetition finds it gone."""
    world = World()
    entry = world.entry("delete_volume", volume_name="spare")
    assert await world.probe(entry) is None
    assert await world.ask("delete_volume", volume_name="spare") == {"success": True}
    assert await world.probe(entry) == {"success": True}


async def test_pruning_names_what_went() -> None:
    """Named volumes too, as the server's user expects."""
    world = World()
    pruned = await world.ask("prune_volumes")
    assert pruned == {"removed_count": 1, "space_reclaimed": 0, "volumes_removed": ["spare"]}


async def test_as_container_actions() -> None:
    """The shapes differ a little: an object around the list, and another key for the name."""
    world = Asking(volume_operations(FakeEngine()))
    assert await world.ask("create_volume", name="data") == {"volume_name": "data"}
    listed = await world.ask("list_volumes")
    assert [each["name"] for each in listed["volumes"]] == ["data"]
