"""Containers that share the network of one that is updated: they follow it, or come back with it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from fakes.engine import Recipe
from features.update_world import NEW, OLD, UpdateWorld
from waiting import until

from agent.ports import CommandFailed, EngineRefused, Json

SIDE = "side:1"


class Household(UpdateWorld):
    """A container `vpn` that runs, and others in its network."""

    def __init__(self) -> None:
        super().__init__()
        self.vpn = self.engine.add("vpn", running=True)

    def joins(self, name: str, *, running: bool = True, **host_config: object) -> str:
        shared: Json = {"NetworkMode": f"container:{self.vpn}", **host_config}
        return self.engine.add(name, running=running, image=SIDE, host_config=shared)

    def network_of(self, name: str) -> str:
        return self.engine.boxes[self.named()[name]].network_mode


async def test_they_follow() -> None:
    """Each is recreated as it was, in the network of the new container, and in the state it was in."""
    world = Household()
    ran, stood = world.joins("ran"), world.joins("stood", running=False)
    async with world.process() as process:
        await process.update(world.vpn)
        await process.settled()
    assert world.states() == {
        "vpn": (NEW, "running"),
        "ran": (SIDE, "running"),
        "stood": (SIDE, "created"),
    }
    joined = f"container:{world.named()['vpn']}"
    assert (world.network_of("ran"), world.network_of("stood")) == (joined, joined)
    assert {ran, stood}.isdisjoint(world.named().values())
    assert "failed_dependents" not in world.completions()[0]
    assert world.stages()[-3:] == ["dependents", "cleanup", "completed"]


@pytest.mark.parametrize("mode", ["PidMode", "IpcMode"])
async def test_other_namespaces(mode: str) -> None:
    """Processes and memory are shared just as networks are."""
    world = UpdateWorld()
    vpn = world.engine.add("vpn", running=True)
    world.engine.add("side", running=True, host_config={mode: f"container:{vpn}"})
    async with world.process() as process:
        await process.update(vpn)
        await process.settled()
    side = world.engine.boxes[world.named()["side"]]
    assert side.host_config[mode] == f"container:{world.named()['vpn']}"


async def test_a_link() -> None:
    """Whoever is linked to the old container could not be started without it."""
    world = UpdateWorld()
    db = world.engine.add("db", running=True)
    web = world.engine.add(
        "web", running=True, image=SIDE, host_config={"Links": ["/db:/web/store"]}
    )
    async with world.process() as process:
        await process.update(db)
        await process.settled()
    assert world.states() == {"db": (NEW, "running"), "web": (SIDE, "running")}
    assert world.named()["web"] != web


async def test_one_that_keeps_crashing() -> None:
    """It follows, and is not well afterwards either."""
    world = Household()
    world.engine.registry[SIDE] = Recipe(dies_after_s=0.5, exit_code=3)
    side = world.joins("side", RestartPolicy={"Name": "always"})
    async with world.process() as process:
        await asyncio.sleep(20)
        assert world.states()["side"] == (SIDE, "restarting")
        await process.update(world.vpn)
        await process.settled()
    assert world.named().keys() == {"vpn", "side"}
    assert world.named()["side"] != side
    assert world.completions()[0]["failed_dependents"] == ["side"]


async def test_with_a_container_that_is_stopped() -> None:
    """Those that depend on it are recreated, and none is started."""
    world = UpdateWorld()
    vpn = world.engine.add("vpn")
    world.engine.add("side", image=SIDE, host_config={"NetworkMode": f"container:{vpn}"})
    async with world.process() as process:
        await process.update(vpn)
        await process.settled()
    assert world.states() == {"vpn": (NEW, "created"), "side": (SIDE, "created")}
    assert (
        world.engine.boxes[world.named()["side"]].network_mode
        == f"container:{world.named()['vpn']}"
    )


async def test_an_image_whose_tag_moved_on() -> None:
    """Nobody asked for another image of theirs: they keep the one they run."""
    world = Household()
    side = world.joins("side")
    image_id = world.engine.boxes[side].image_id
    world.engine.image_store.add(SIDE)
    async with world.process() as process:
        await process.update(world.vpn)
        await process.settled()
    assert world.engine.boxes[world.named()["side"]].image_id == image_id


async def test_one_that_cannot_be_recreated() -> None:
    """The others follow, the update is complete, and the server is told its name; it keeps that and what it was."""
    world = Household()
    bad, good = world.joins("bad"), world.joins("good")
    world.engine.image_store.lose(world.engine.boxes[bad].image_id)
    world.engine.boxes[good].image_id = world.engine.image_store.add(SIDE).id
    async with world.process() as process:
        await process.update(world.vpn)
        await process.settled()
    assert world.named()["bad"] == bad
    assert world.named()["good"] != good
    assert len(world.named()) == 3
    assert world.completions()[0]["failed_dependents"] == ["bad"]


async def test_one_that_gets_its_name_back_late() -> None:
    """Neither recreated nor given its name back at first: that is made good before the update is over."""
    world = Household()
    side = world.joins("side")
    world.engine.image_store.lose(world.engine.boxes[side].image_id)
    async with world.process() as process:
        await process.update(world.vpn)
        await until(lambda: "side" not in world.named())
        world.engine.failing["rename"] = EngineRefused("try again", 500)
        world.engine.delay_s["remove"] = 5.0
        await until(lambda: world.stages()[-1] == "cleanup", every_s=0.01)
        del world.engine.failing["rename"]
        await process.settled()
    assert world.named()["side"] == side
    assert world.named().keys() == {"vpn", "side"}
    assert world.completions()[0]["failed_dependents"] == ["side"]


async def test_one_that_is_not_well_afterwards() -> None:
    """Its successor stays, for the old one could not start any more; that one goes as all the others do."""
    world = Household()
    world.engine.registry[SIDE] = Recipe(dies_after_s=0.5, exit_code=3)
    side = world.joins("side")
    async with world.process() as process:
        await process.update(world.vpn)
        await process.settled()
    assert world.named().keys() == {"vpn", "side"}
    assert world.named()["side"] != side
    assert world.network_of("side") == f"container:{world.named()['vpn']}"
    assert world.completions()[0]["failed_dependents"] == ["side"]


async def test_one_that_removes_itself() -> None:
    """It is left alone, and named."""
    world = Household()
    side = world.joins("side", AutoRemove=True)
    async with world.process() as process:
        await process.update(world.vpn)
        await process.settled()
    assert world.named()["side"] == side
    assert world.completions()[0]["failed_dependents"] == ["side"]


async def test_they_come_back() -> None:
    """When the new container is no good they have not moved; those that ran join the old one's network anew."""
    world = Household()
    world.engine.registry[NEW] = Recipe(dies_after_s=0.2, exit_code=1)
    ran, stood = world.joins("ran"), world.joins("stood", running=False)
    async with world.process() as process:
        await process.update(world.vpn)
        await process.settled()
    assert world.named() == {"vpn": world.vpn, "ran": ran, "stood": stood}
    assert world.states() == {
        "vpn": (OLD, "running"),
        "ran": (SIDE, "running"),
        "stood": (SIDE, "created"),
    }
    assert ("restart", "ran") in world.engine.actions


async def test_those_that_depend_on_one_that_depends() -> None:
    """They follow as well, each to the successor of the one that it was with."""
    world = Household()
    side = world.joins("side")
    shared: Json = {"NetworkMode": f"container:{side}", "PidMode": f"container:{world.vpn}"}
    world.engine.add("third", running=True, image=SIDE, host_config=shared)
    async with world.process() as process:
        await process.update(world.vpn)
        await process.settled()
    named = world.named()
    assert named.keys() == {"vpn", "side", "third"}
    assert world.network_of("third") == f"container:{named['side']}"
    third = world.engine.boxes[named["third"]]
    assert third.host_config["PidMode"] == f"container:{named['vpn']}"
    assert {status for _, status in world.states().values()} == {"running"}
    assert "failed_dependents" not in world.completions()[0]


async def test_an_engine_that_goes_away_for_a_while() -> None:
    """It is waited for, while there is time: none of them stays behind under another name."""
    world = Household()
    world.joins("side")
    async with world.process() as process:
        await process.update(world.vpn)
        await until(lambda: world.stages()[-1] == "health_check")
        world.engine.delay_s["create"] = 5.0
        await until(lambda: world.stages()[-1] == "dependents")
        await asyncio.sleep(1)
        world.engine.down()
        await asyncio.sleep(20)
        world.engine.up()
        await process.settled()
    assert world.states() == {"vpn": (NEW, "running"), "side": (SIDE, "running")}
    assert world.network_of("side") == f"container:{world.named()['vpn']}"
    assert "failed_dependents" not in world.completions()[0]


async def test_one_whose_name_somebody_takes() -> None:
    """That is no reason to leave the updated container where it is: it runs again, and the trouble is told."""
    world = Household()
    world.engine.registry[SIDE] = Recipe(health=[(500, "healthy")])
    side = world.joins("side")
    async with world.process() as process:
        world.engine.delay_s["create"] = 5.0
        await process.update(world.vpn)
        await until(lambda: world.stages()[-1] == "dependents")
        await asyncio.sleep(1)
    world.engine.add("side")
    world.clock_is_ahead = timedelta(hours=1)
    async with world.process() as process:
        await process.recover()
    assert world.states()["vpn"] == (OLD, "running")
    assert world.named()["side-dockmon-temp-1767225600"] == side
    assert "the name side belongs to another container" in world.complaints()[0]["details"]


async def test_one_that_cannot_come_back() -> None:
    """The old container is what it was; that another is not is said aloud, and tried again later."""
    world = Household()
    world.engine.registry[NEW] = Recipe(dies_after_s=0.2, exit_code=1)
    world.joins("side")
    world.engine.failing["restart"] = EngineRefused("out of memory", 500)
    async with world.process() as process:
        await process.update(world.vpn)
        await process.settled()
        assert world.states()["vpn"] == (OLD, "running")
        assert "side could not be started" in world.complaints()[0]["details"]

        del world.engine.failing["restart"]
        await process.recover()
    assert world.states()["side"] == (SIDE, "running")
    assert world.store.begun == {}


async def test_they_are_left_alone_meanwhile() -> None:
    """What is being recreated is not changed by others."""
    world = Household()
    side = world.joins("side")
    world.engine.registry[NEW] = Recipe(health=[(20, "healthy")])
    async with world.process() as process:
        await process.update(world.vpn)
        await asyncio.sleep(5)
        with pytest.raises(CommandFailed, match="vpn is being updated"):
            process.claims.check(side[:12])
        await process.settled()
        process.claims.check("side")
