"""Networks: each refusal in the words that the server makes its own answers of."""

from __future__ import annotations

import pytest
from fakes.engine import FakeEngine
from features.asking import Asking

from agent.core.own_container import OwnContainer
from agent.features.networks import network_operations, networks
from agent.ports import CommandFailed, Conflict, EngineRefused, Json


class World(Asking):
    """An engine with the networks `front`, where `web` is, and `spare`, where nobody is."""

    def __init__(self, *, contained: bool = False) -> None:
        self.engine = FakeEngine()
        self.front = self.engine.add_network("front", "172.22.0.0/16")
        self.spare = self.engine.add_network("spare")
        static = {"IPAMConfig": {"IPv4Address": "172.22.0.9"}, "Aliases": ["www"]}
        self.web = self.engine.add("web", running=True, endpoints={"front": static})
        super().__init__(networks(self.engine, OwnContainer(self.web) if contained else None))

    @property
    def names(self) -> list[str]:
        return [network.name for network in self.engine.network_store.networks.values()]


async def test_the_list_says_who_is_in_them() -> None:
    """By name, with the containers in them; two questions to the engine, whatever the number of networks."""
    world = World()
    listed = await world.ask("list_networks")
    assert [each["name"] for each in listed] == ["bridge", "front", "host", "none", "spare"]
    assert listed[1]["containers"] == [{"id": world.web[:12], "name": "web"}]
    assert world.engine.calls == {"networks": 1, "containers": 1}


async def test_a_network_is_created_and_shown() -> None:
    """The reply is the network as the list would show it."""
    world = World()
    made = await world.ask(
        "create_network",
        name="back",
        driver="bridge",
        subnet="172.30.0.0/16",
        gateway="",
        internal=True,
    )
    assert (made["name"], made["subnet"], made["internal"]) == ("back", "172.30.0.0/16", True)
    assert (made["containers"], made["is_builtin"], len(made["id"])) == ([], False, 12)


async def test_a_name_that_is_taken() -> None:
    """In the words that make it a conflict at the server."""
    with pytest.raises(Conflict, match="already exists"):
        await World().ask("create_network", name="front", driver="bridge", subnet="", gateway="")


async def test_addresses_that_cannot_be() -> None:
    """Told before the engine is asked."""
    world = World()
    with pytest.raises(CommandFailed, match="a gateway needs a subnet"):
        await world.ask("create_network", name="back", subnet="", gateway="172.30.0.1")
    assert world.engine.calls == {}


async def test_whether_it_was_created_after_all() -> None:
    """One of that name that is older than the command was there before."""
    world = World()
    entry = world.entry("create_network", name="back")
    assert await world.probe(entry) is None
    made = await world.ask("create_network", name="back")
    assert (await world.probe(entry) or {})["id"] == made["id"]


@pytest.mark.parametrize("name", ["bridge", "host", "none"])
async def test_built_in_networks_stay(name: str) -> None:
    """With force or without."""
    world = World()
    network_id = world.engine.network_store.find(name).id[:12]
    for force in (False, True):
        with pytest.raises(CommandFailed, match="built-in"):
            await world.ask("delete_network", network_id=network_id, force=force)


async def test_a_network_in_use() -> None:
    """Without force it stays, and the reply names who is in it."""
    world = World()
    with pytest.raises(CommandFailed, match=r"in use by 1 connected containers \(web\)"):
        await world.ask("delete_network", network_id=world.front[:12], force=False)
    assert "front" in world.names


async def test_by_force_each_is_disconnected_first() -> None:
    """The container lives on without it."""
    world = World()
    await world.ask("delete_network", network_id=world.front[:12], force=True)
    assert world.engine.actions == [("disconnect", "front/web"), ("remove_network", "front")]
    assert world.engine.boxes[world.web].running


async def test_a_network_that_is_not_there() -> None:
    """In the words that make it a 404 at the server; a repetition of one that was done finds it gone."""
    world = World()
    with pytest.raises(CommandFailed, match="not found"):
        await world.ask("delete_network", network_id="0" * 12, force=True)
    entry = world.entry("delete_network", network_id=world.spare[:12])
    assert await world.probe(entry) is None
    assert await world.ask("delete_network", network_id=world.spare[:12]) == {"success": True}
    assert await world.probe(entry) == {"success": True}


async def test_nothing_half_done() -> None:
    """If the network stays after all, who was disconnected is connected again, with the same address and aliases."""
    world = World()
    world.engine.failing["remove_network"] = EngineRefused("has active endpoints", 403)
    with pytest.raises(CommandFailed, match="in use"):
        await world.ask("delete_network", network_id=world.front[:12], force=True)
    endpoint = world.engine.boxes[world.web].endpoints["front"]
    assert endpoint["IPAddress"] == "172.22.0.9"
    assert "www" in endpoint["Aliases"]


async def test_we_do_not_cut_ourselves_off() -> None:
    """The network the agent's own container is in is not deleted by force: it would not come back."""
    world = World(contained=True)
    with pytest.raises(CommandFailed, match="connected container"):
        await world.ask("delete_network", network_id=world.front[:12], force=True)
    assert world.engine.actions == []


async def test_pruning_names_what_went() -> None:
    """Networks that nobody is in, but for those the engine makes itself."""
    world = World()
    assert await world.ask("prune_networks") == {"removed_count": 1, "networks_removed": ["spare"]}
    assert await world.ask("prune_networks") == {"removed_count": 0, "networks_removed": []}


async def test_as_container_actions() -> None:
    """The shapes differ a little: an object around the list, and the ID alone."""
    world = Asking(network_operations(engine := FakeEngine()))
    listed: Json = await world.ask("list_networks")
    assert [each["name"] for each in listed["networks"]] == ["bridge", "host", "none"]
    entry = world.entry("create_network", name="back", driver="bridge")
    made = await world.ask("create_network", name="back", driver="bridge")
    assert made == {"network_id": engine.network_store.find("back").id[:12]}
    assert await world.probe(entry) == made
