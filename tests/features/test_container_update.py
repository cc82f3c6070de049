"""A container gets a new image, or stays what it was: there is no third way, and the server learns which."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from fakes.engine import Recipe
from features.update_world import NEW, OLD, Process, UpdateWorld
from waiting import until

from agent.core.machine import StopRequested
from agent.core.own_container import OwnContainer
from agent.features.container_update.payload import Payload
from agent.ports import (
    CommandFailed,
    EngineBusy,
    EngineRefused,
    EngineUnreachable,
    Json,
    NotFound,
    StoreError,
)

STARTED = {"status": "update_started"}


# What becomes of it


async def test_a_container_that_runs() -> None:
    """The new one has the name and the settings, the old one is gone, and the server learns both IDs."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True, config={"Labels": {"role": "front"}})
    async with world.process() as process:
        assert await process.update(old) == STARTED
        await process.settled()
        assert process.news == 1
    assert world.states() == {"web": (NEW, "running")}
    assert world.labels("web") == {"role": "front"}
    new = world.named()["web"]
    assert world.completions() == [
        {
            "old_container_id": old[:12],
            "new_container_id": new[:12],
            "container_name": "web",
        }
    ]
    assert world.store.begun == {}
    assert world.complaints() == []


async def test_the_order_of_things() -> None:
    """Renamed before it is stopped, removed when the new one is well: the server starts stopped ones by their name."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    backup = "web-dockmon-backup-1767225600"
    assert world.engine.actions == [
        ("pull", NEW),
        ("rename", "web"),
        ("stop", backup),
        ("create", "web"),
        ("start", "web"),
        ("remove", backup),
    ]


async def test_what_the_server_is_told_meanwhile() -> None:
    """Each stage once; where users look, which is the summary of the layers, as well."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    assert world.stages() == [
        *("pulling", "configuring", "backup", "creating", "starting"),
        *("health_check", "cleanup", "completed"),
    ]
    first = world.channel.payloads("update_progress")[0]
    assert first == {
        "container_id": old[:12],
        "stage": "pulling",
        "message": f"Pulling {NEW}",
    }
    layers = world.channel.payloads("update_layer_progress")
    assert {told["container_id"] for told in layers} == {old[:12]}
    assert layers[-1]["summary"] == f"web has been updated to {NEW}"


async def test_a_container_that_is_stopped() -> None:
    """Its successor is made and not started."""
    world = UpdateWorld()
    old = world.engine.add("web")
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    assert world.states() == {"web": (NEW, "created")}
    assert len(world.completions()) == 1
    assert "starting" not in world.stages()


@pytest.mark.parametrize(
    ("recipe", "image"), [(Recipe(), NEW), (Recipe(refuses_start="no such file"), OLD)]
)
async def test_a_container_that_keeps_crashing(recipe: Recipe, image: str) -> None:
    """An update is often meant to mend that. It is stopped first: the engine renames none that waits for a restart."""
    world = UpdateWorld()
    world.engine.registry[OLD] = Recipe(dies_after_s=0.5, exit_code=3)
    world.engine.registry[NEW] = recipe
    world.engine.image_store.add(OLD)
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        await asyncio.sleep(20)
        assert world.states()["web"] == (OLD, "restarting")
        await process.update(old)
        await process.settled()
    [(name, (made_of, _))] = world.states().items()
    assert (name, made_of) == ("web", image)
    assert world.engine.boxes[world.named()["web"]].running


async def test_a_job_that_ends_at_once() -> None:
    """Exit code 0 is no failure where nothing is to restart it."""
    world = UpdateWorld()
    world.engine.registry[NEW] = Recipe(dies_after_s=0.1)
    old = world.engine.add("job", running=True, host_config={"RestartPolicy": {"Name": "no"}})
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    assert world.states() == {"job": (NEW, "exited")}
    assert len(world.completions()) == 1


async def test_a_container_that_is_healthy_after_a_while() -> None:
    """As long as the health check has not decided, there is time."""
    world = UpdateWorld()
    world.engine.registry[NEW] = Recipe(health=[(60, "healthy")])
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        await process.update(old)
        await process.settled()
        assert asyncio.get_running_loop().time() >= 60
    assert world.states() == {"web": (NEW, "running")}


async def test_anonymous_volumes_go_along() -> None:
    """What the old one wrote is where the new one looks for it."""
    world = UpdateWorld()
    old = world.engine.add("db", running=True, config={"Volumes": {"/data": {}}})
    [before] = world.engine.boxes[old].volume_names()
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    assert world.engine.boxes[world.named()["db"]].volume_names() == [before]
    assert before in world.engine.volume_store.volumes


async def test_static_addresses_on_several_networks() -> None:
    """On each of them it is what it was."""
    world = UpdateWorld()
    world.engine.add_network("front", "10.1.0.0/24")
    world.engine.add_network("back", "10.2.0.0/24")
    endpoints: dict[str, Json] = {
        "front": {"IPAMConfig": {"IPv4Address": "10.1.0.7"}, "Aliases": ["www"]},
        "back": {"IPAMConfig": {"IPv4Address": "10.2.0.7"}},
    }
    old = world.engine.add("web", running=True, endpoints=endpoints)
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    new = world.engine.boxes[world.named()["web"]]
    assert {name: new.endpoints[name]["IPAddress"] for name in new.endpoints} == {
        "front": "10.1.0.7",
        "back": "10.2.0.7",
    }
    assert "www" in new.endpoints["front"]["Aliases"]
    assert old[:12] not in new.endpoints["front"]["Aliases"]


# What is put back


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        (Recipe(dies_after_s=0.2, exit_code=1), "not well"),
        (Recipe(dies_after_s=2.0, exit_code=0), "not well"),
        (Recipe(health=[(20, "unhealthy")]), "not well"),
        (Recipe(health=[(500, "healthy")]), "not well"),
        (Recipe(refuses_start="exec: no such file"), "exec: no such file"),
    ],
    ids=["crash loop", "ends and is restarted", "unhealthy", "never healthy", "no start"],
)
async def test_a_new_image_that_is_no_good(recipe: Recipe, why: str) -> None:
    """The old container is what it was, under its name and ID, and the host's event log says why."""
    world = UpdateWorld()
    world.engine.registry[NEW] = recipe
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        assert await process.update(old) == STARTED
        await process.settled()
    assert world.states() == {"web": (OLD, "running")}
    assert world.named() == {"web": old}
    assert world.completions() == []
    assert world.store.begun == {}
    assert world.stages().count("rollback") == 1
    assert "failed" not in world.stages()
    [complaint] = world.complaints()
    assert complaint["error"] == f"The update of web to {NEW} failed"
    assert complaint["container_id"] == old[:12]
    assert why in complaint["details"]


async def test_a_job_that_fails_at_once() -> None:
    """Exit code 1 is a failure; the old one runs again."""
    world = UpdateWorld()
    world.engine.registry[NEW] = Recipe(dies_after_s=0.1, exit_code=1)
    old = world.engine.add("job", running=True, host_config={"RestartPolicy": {"Name": "no"}})
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    assert world.named() == {"job": old}
    assert world.states() == {"job": (OLD, "running")}


async def test_a_network_that_cannot_be_joined() -> None:
    """A container that lacks a network is not the same container: it is not even started."""
    world = UpdateWorld()
    world.engine.add_network("front", "10.1.0.0/24")
    world.engine.add_network("back", "10.2.0.0/24")
    old = world.engine.add("web", running=True, endpoints={"front": {}, "back": {}})
    world.engine.failing["connect"] = EngineRefused("the pool is exhausted", 500)
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    assert world.named() == {"web": old}
    assert world.states() == {"web": (OLD, "running")}
    assert world.engine.calls["start"] == 1
    [complaint] = world.complaints()
    assert (
        "it cannot be connected to the network back: the pool is exhausted" in complaint["details"]
    )


async def test_an_address_that_somebody_takes() -> None:
    """It has its name again and cannot run; that is said aloud, and put right once the engine is back."""
    world = UpdateWorld()
    world.engine.add_network("front", "10.1.0.0/24")
    fixed: Json = {"front": {"IPAMConfig": {"IPv4Address": "10.1.0.7"}}}
    old = world.engine.add("web", running=True, endpoints=fixed)
    thief = world.engine.add("thief", endpoints=fixed)
    world.engine.registry[NEW] = Recipe()
    async with world.process() as process:
        world.engine.delay_s["create"] = 5.0
        await process.update(old)
        await asyncio.sleep(1)  # the old one is stopped
        await world.engine.start(thief, deadline_s=1)
        await process.settled()
        assert world.states()["web"] == (OLD, "exited")
        assert world.stages()[-2:] == ["rollback", "failed"]
        assert "could not be put back: Address already in use" in world.complaints()[0]["details"]
        assert len(world.store.begun) == 1

        await world.engine.stop(thief, timeout_s=1, deadline_s=5)
        await process.recover()
    assert world.states()["web"] == (OLD, "running")
    assert world.store.begun == {}
    assert world.completions() == []


async def test_somebody_else_takes_the_name() -> None:
    """What others made is never removed: the old one is kept under the backup's name, and the text says so."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        world.engine.delay_s["stop"] = 5.0
        await process.update(old)
        await asyncio.sleep(1)
        other = world.engine.add("web")
        await process.settled()
    backup = "web-dockmon-backup-1767225600"
    assert world.named() == {"web": other, backup: old}
    [complaint] = world.complaints()
    assert complaint["details"].endswith(
        f"the name web belongs to another container now; the old one is kept as {backup}"
    )


async def test_an_engine_that_goes_away_for_a_while() -> None:
    """It is waited for: a restarted engine finds everything put back."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        world.engine.delay_s["create"] = 5.0
        await process.update(old)
        await asyncio.sleep(1)
        world.engine.down()
        await asyncio.sleep(20)
        world.engine.up()
        await process.settled()
    assert world.named() == {"web": old}
    assert world.states() == {"web": (OLD, "running")}


async def test_an_engine_that_stays_away() -> None:
    """The update is given up, and what was moved is put back as soon as the engine answers again."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        world.engine.delay_s["create"] = 5.0
        await process.update(old)
        await asyncio.sleep(1)
        world.engine.down()
        await process.settled()
        assert process.way()[-1] == "stranded"
        world.engine.up()
        await process.recover()
    assert world.named() == {"web": old}
    assert world.states() == {"web": (OLD, "running")}
    assert world.stages().count("failed") == 1


async def test_a_backup_that_is_removed_meanwhile() -> None:
    """There is nothing to go back to: what is there of the new one is better than nothing."""
    world = UpdateWorld()
    world.engine.registry[NEW] = Recipe(health=[(20, "unhealthy")])
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        await process.update(old)
        await asyncio.sleep(5)
        world.engine.goes_unseen(old)
        await process.settled()
        await process.recover()
    assert world.states() == {"web": (NEW, "running")}
    assert "has been removed by somebody else" in world.complaints()[0]["details"]
    assert world.store.begun == {}


async def test_an_image_that_is_gone() -> None:
    """What the old image contributed cannot be told any more; the container is updated all the same."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.image_store.lose(world.engine.boxes[old].image_id)
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    assert world.states() == {"web": (NEW, "running")}


# What is refused at once, with nothing touched


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"image": "missing:1"}, "manifest for missing:1 not found"),
        ({"image": "Paper"}, "^new_image has capital letters"),
        ({"image": ""}, "^new_image is empty"),
        ({"stop_timeout": 181}, "a stop timeout of 181 s does not fit"),
    ],
)
async def test_what_cannot_begin(payload: Json, why: str) -> None:
    """The reply says why: it is the only news of a failure that reaches the user at once."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        with pytest.raises(CommandFailed, match=why):
            await process.update(old, **payload)
        await asyncio.sleep(1)
    assert world.named() == {"web": old}
    assert world.engine.boxes[old].runs == 1
    assert world.store.begun == {}
    assert world.complaints() == []


async def test_a_container_that_is_not_there() -> None:
    """The engine's own words."""
    world = UpdateWorld()
    async with world.process() as process:
        with pytest.raises(NotFound, match="No such container"):
            await process.update("f" * 64)


async def test_an_engine_that_does_not_answer() -> None:
    """That is said at once."""
    world = UpdateWorld()
    old = world.engine.add("web")
    world.engine.down()
    async with world.process() as process:
        with pytest.raises(EngineUnreachable):
            await process.update(old)


async def test_a_container_that_removes_itself() -> None:
    """Stopping it would leave nothing to go back to."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True, host_config={"AutoRemove": True})
    async with world.process() as process:
        with pytest.raises(CommandFailed, match="web was started with --rm"):
            await process.update(old)
    assert world.engine.actions == []


async def test_a_container_that_is_paused() -> None:
    """It could neither come out paused nor come back paused."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.boxes[old].paused = True
    async with world.process() as process:
        with pytest.raises(CommandFailed, match="web is paused"):
            await process.update(old)
    assert world.engine.actions == []


async def test_the_image_it_already_runs() -> None:
    """Nothing is recreated for nothing, and no success is reported either."""
    world = UpdateWorld()
    world.engine.registry[OLD] = Recipe(is_new=False)
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        with pytest.raises(CommandFailed, match=f"^web already runs {OLD}: nothing to do$"):
            await process.update(old, OLD)
        await process.settled()
    assert world.engine.actions == [("pull", OLD)]
    assert world.stages() == ["pulling", "configuring", "failed"]
    assert world.completions() == []


async def test_a_pull_that_breaks_off() -> None:
    """The old image under the same tag is not taken for the new one."""
    world = UpdateWorld()
    world.engine.registry[OLD] = Recipe(pull_error="unexpected EOF")
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        with pytest.raises(CommandFailed, match="unexpected EOF"):
            await process.update(old, OLD)
    assert world.named() == {"web": old}


async def test_two_at_once() -> None:
    """The second is told that the first is under way; another container can be updated meanwhile."""
    world = UpdateWorld()
    web, db = world.engine.add("web", running=True), world.engine.add("db", running=True)
    world.engine.delay_s["pull"] = 10.0
    async with world.process() as process, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(process.update(web))
        await asyncio.sleep(1)
        with pytest.raises(
            CommandFailed, match=r"^web is being updated; try again when that is done$"
        ):
            await process.update(web)
        assert await process.update(db) == STARTED
        assert await first == STARTED
        await process.settled()
        assert await process.update(world.named()["web"]) == STARTED
        await process.settled()


async def test_our_own_container() -> None:
    """The server does not know that it is the agent's: that is another procedure."""
    world = UpdateWorld()
    own = world.engine.add("agent", running=True)
    world.own = OwnContainer(own)
    async with world.process() as process:
        assert await process.update(own, "r.test/ours:4.0") == {"status": "self_update_started"}
        [request] = process.self_updates
    assert (request.image, request.version) == ("r.test/ours:4.0", "4.0")
    assert world.engine.actions == []


async def test_a_container_whose_network_we_use() -> None:
    """Updating it would cut us off from the server, and we would have to recreate ourselves half-way."""
    world = UpdateWorld()
    vpn = world.engine.add("vpn", running=True)
    shared = {"NetworkMode": f"container:{vpn}"}
    world.own = OwnContainer(world.engine.add("agent", running=True, host_config=shared))
    async with world.process() as process:
        with pytest.raises(CommandFailed, match="shares a namespace of vpn"):
            await process.update(vpn)
    assert world.named()["vpn"] == vpn


async def test_a_disk_that_is_full() -> None:
    """What cannot be written down is not begun: nobody could go on with it."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.store.broken = StoreError("no space left in /data")
    async with world.process() as process:
        with pytest.raises(CommandFailed, match="no space left"):
            await process.update(old)
    assert world.engine.actions == []


# Credentials


async def test_credentials_are_for_the_pull_and_nowhere_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither written down nor logged, whatever becomes of the update."""
    caplog.set_level(logging.DEBUG)
    world = UpdateWorld()
    image = "r.test/paper:2.5"
    old = world.engine.add("web", running=True)
    auth = {"username": "reader", "password": "hunter2"}
    async with world.process() as process:
        await process.update(old, image, registry_auth=auth)
        assert "hunter2" not in repr(world.store.begun)
        await process.settled()
    assert world.engine.image_store.logins == [(image, "reader")]
    assert "hunter2" not in caplog.text + repr(world.channel.sent) + repr(world.store.ledger)


def test_credentials_are_not_shown() -> None:
    """A payload that ends up in a log or an error does not tell the password."""
    payload = Payload.model_validate(
        {
            "container_id": "a" * 12,
            "new_image": "paper",
            "registry_auth": {"username": "reader", "password": "hunter2"},
        }
    )
    assert "hunter2" not in repr(payload)


@pytest.mark.parametrize(
    ("given", "stop_s", "health_s"),
    [
        ({}, 30, 120),
        ({"stop_timeout": 0, "health_timeout": 0}, 30, 120),
        ({"stop_timeout": None, "health_timeout": None}, 30, 120),
        ({"stop_timeout": 5, "health_timeout": 60}, 5, 60),
    ],
)
def test_times_that_are_not_given(given: Json, stop_s: int, health_s: int) -> None:
    """Absent, null and 0 mean the same."""
    payload = Payload.model_validate({"container_id": "a" * 12, "new_image": "paper", **given})
    assert (payload.stop_timeout_s, payload.health_timeout_s) == (stop_s, health_s)


# Time


async def test_a_pull_that_outlasts_the_acknowledgement() -> None:
    """The server is answered before it gives up waiting for that, and the pull goes on."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.delay_s["pull"] = 200.0
    async with world.process() as process:
        assert await process.update(old) == STARTED
        assert asyncio.get_running_loop().time() == 165.0
        assert world.stages() == ["pulling"]
        await process.settled()
    assert world.states() == {"web": (NEW, "running")}


async def test_a_pull_that_fails_after_the_acknowledgement() -> None:
    """Too late for the reply, so the event log has to say it."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.registry[NEW] = Recipe(pull_error="unexpected EOF")
    world.engine.delay_s["pull"] = 200.0
    async with world.process() as process:
        assert await process.update(old) == STARTED
        await process.settled()
    [complaint] = world.complaints()
    assert complaint["details"] == "unexpected EOF"
    assert world.stages() == ["pulling", "failed"]
    assert world.named() == {"web": old}


async def test_a_pull_that_leaves_no_time() -> None:
    """It is not begun, for the server would not wait for its end; the next try finds the image pulled."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.delay_s["pull"] = 350.0
    async with world.process() as process:
        assert await process.update(old, stop_timeout=90) == STARTED
        await process.settled()
    assert "update again: the image is here now" in world.complaints()[0]["details"]
    assert world.named() == {"web": old}
    assert world.engine.boxes[old].runs == 1


async def test_it_ends_while_the_server_waits() -> None:
    """However much time it was given: the health check is cut so that a rollback comes before the server gives up."""
    world = UpdateWorld()
    world.engine.registry[NEW] = Recipe(health=[(3000, "healthy")])
    old = world.engine.add("web", running=True)
    world.engine.delay_s["pull"] = 160.0
    async with world.process() as process:
        await process.update(old, health_timeout=3600)
        acknowledged_s = asyncio.get_running_loop().time()
        await process.settled()
        assert asyncio.get_running_loop().time() - acknowledged_s < 300
    assert world.named() == {"web": old}


async def test_steps_that_take_all_the_time() -> None:
    """What the server has given up is not completed behind its back, however well the new container is."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        world.engine.delay_s |= {"rename": 14.0, "stop": 195.0, "create": 44.0, "start": 44.0}
        await process.update(old, stop_timeout=180)
        await process.settled()
    assert world.named() == {"web": old}
    assert world.states() == {"web": (OLD, "running")}
    assert "the time was over" in world.complaints()[0]["details"]


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_is_set(hours: int) -> None:
    """It counts how much time has passed, not what the clock of the host says about it."""
    world = UpdateWorld()
    world.engine.registry[NEW] = Recipe(health=[(60, "healthy")])
    web, db = world.engine.add("web", running=True), world.engine.add("db", running=True)
    async with world.process() as process:
        await process.update(web)
        await asyncio.sleep(1)
        world.clock_is_ahead = timedelta(hours=hours)
        await process.settled()
        assert world.states()["web"] == (NEW, "running")

        world.engine.registry["endless"] = Recipe(health=[(3000, "healthy")])
        await process.update(db, "endless", health_timeout=3600)
        acknowledged_s = asyncio.get_running_loop().time()
        world.clock_is_ahead += timedelta(hours=hours)
        await process.settled()
        assert 200 < asyncio.get_running_loop().time() - acknowledged_s < 300
    assert world.states()["db"] == (OLD, "running")


async def test_a_server_that_waits_no_longer() -> None:
    """The request was cut short before it was answered: what nobody was told of is not carried out."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.delay_s["pull"] = 20.0
    async with world.process() as process:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await process.update(old)
        await process.settled()
    assert world.named() == {"web": old}
    assert world.engine.boxes[old].runs == 1


async def test_many_at_once() -> None:
    """The engine pulls so many at a time; the others wait for their turn, as long as the server waits for them."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.failing["pull"] = EngineBusy("2 pulls are under way")
    async with world.process() as process, asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(process.update(old))
        await asyncio.sleep(100)
        del world.engine.failing["pull"]
        assert await asked == STARTED
        await process.settled()
    assert world.states() == {"web": (NEW, "running")}


# Telling


async def test_without_a_session() -> None:
    """Progress is lost; the completion waits in the outbox."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.channel.is_live = False
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    assert world.channel.sent == []
    assert len(world.completions()) == 1


async def test_a_disk_that_fills_up_on_the_way() -> None:
    """A success that cannot be written down is at least told; the next process tells it again."""
    world = UpdateWorld()
    world.engine.registry[NEW] = Recipe(health=[(10, "healthy")])
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        world.engine.delay_s["remove"] = 5.0
        await process.update(old)
        await asyncio.sleep(12)
        world.store.broken = StoreError("no space left in /data")
        await process.settled()
    assert world.states() == {"web": (NEW, "running")}
    [told] = world.channel.payloads("update_complete")
    assert told["old_container_id"] == old[:12]
    async with world.process() as process:
        await process.recover()
    assert world.completions() == [told]


async def test_what_cannot_be_removed() -> None:
    """The update is complete and reported once; what is left over is removed when the engine lets it."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.failing["remove"] = EngineRefused("device or resource busy", 500)
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    assert world.states()["web"] == (NEW, "running")
    assert len(world.states()) == 2
    assert len(world.completions()) == 1
    async with world.process() as process:
        await process.recover()
    assert len(world.states()) == 2
    del world.engine.failing["remove"]
    async with world.process() as process:
        await process.recover()
    assert world.states() == {"web": (NEW, "running")}
    assert len(world.completions()) == 1
    assert world.stages().count("completed") == 1
    assert world.store.begun == {}


@pytest.mark.parametrize("at", ["journal", "save_job", "end_job"])
async def test_an_end_between_the_news_and_what_is_left_over(at: str) -> None:
    """Neither is lost: the server is told once, and the old container is removed when the engine lets it."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.failing["remove"] = EngineRefused("device or resource busy", 500)
    async with world.process() as process:
        world.engine.delay_s["remove"] = 5.0
        await process.update(old)
        await until(lambda: world.stages()[-1] == "cleanup")
        world.store.hangs_after.add(at)
        await asyncio.sleep(10)
    del world.engine.failing["remove"]
    async with world.process() as process:
        await process.recover()
    assert world.states() == {"web": (NEW, "running")}
    assert len(world.completions()) == 1
    assert world.store.begun == {}


async def test_a_stop_on_the_way() -> None:
    """The agent ends within its time and leaves a record; the next one goes on where it was."""
    world = UpdateWorld()
    world.engine.registry[NEW] = Recipe(health=[(60, "healthy")])
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        await process.update(old)
        await asyncio.sleep(10)
        process.kitchen.runtime.post(StopRequested("SIGTERM"))
        await process.settled()
        assert process.way()[-1] == "suspended"
    async with world.process() as process:
        await process.recover()
    assert world.states() == {"web": (NEW, "running")}
    assert len(world.completions()) == 1


async def test_a_job_is_done_once() -> None:
    """Whatever it was that the new container did, the next agent does not have it do it again."""
    world = UpdateWorld()
    world.engine.registry[NEW] = Recipe(dies_after_s=0.1)
    old = world.engine.add("job", running=True, host_config={"RestartPolicy": {"Name": "no"}})
    async with world.process() as process:
        world.engine.delay_s["start"] = 5.0
        await process.update(old)
        await asyncio.sleep(1)
    await asyncio.sleep(10)  # the engine carries out what it was asked for
    async with world.process() as process:
        await process.recover()
    assert world.states() == {"job": (NEW, "exited")}
    assert world.engine.boxes[world.named()["job"]].runs == 1


async def test_a_creation_that_comes_late() -> None:
    """An agent before asked for it, and the engine takes its time: it is ours, and not in our way."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.delay_s["create"] = 5.0
    async with world.process() as process:
        await process.update(old)
        await asyncio.sleep(1)
    async with world.process() as process:
        await process.recover()
    assert world.states() == {"web": (NEW, "running")}
    assert len(world.completions()) == 1


@pytest.mark.parametrize("slow", ["create", "start"])
async def test_an_engine_that_starts_the_old_one_again(slow: str) -> None:
    """Agent and engine were both restarted: what the restart policy brought back is stopped once more."""
    world = UpdateWorld()
    world.engine.add_network("front", "10.1.0.0/24")
    fixed: Json = {"front": {"IPAMConfig": {"IPv4Address": "10.1.0.7"}}}
    old = world.engine.add("web", running=True, endpoints=fixed)
    async with world.process() as process:
        world.engine.delay_s[slow] = 5.0
        await process.update(old)
        await asyncio.sleep(1)
    world.engine.down()
    world.engine.up()
    world.engine.starts_unseen(old)
    async with world.process() as process:
        await process.recover()
    assert world.states() == {"web": (NEW, "running")}


async def test_an_acknowledgement_that_may_be_lost() -> None:
    """An agent that dies may take its reply with it, so the next one gives it again before it tells the end."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.delay_s["create"] = 5.0
    async with world.process() as process:
        await process.update(old)
        await asyncio.sleep(1)
    async with world.process() as process:
        await process.recover()
    [reply] = [message for message in world.channel.messages if message["type"] == "response"]
    assert (reply["id"], reply["payload"]) == (str(UUID(int=1)), STARTED)


@pytest.mark.parametrize("stops", [True, False], ids=["stopped", "killed"])
async def test_an_end_before_anything_is_touched(stops: bool) -> None:
    """The next process fails it: the credentials are gone with the last one. The host's event log says so."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.delay_s["pull"] = 20.0
    async with world.process() as process, asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(process.update(old))
        await asyncio.sleep(1)
        if stops:
            process.kitchen.runtime.post(StopRequested("SIGTERM"))
            await process.settled()
        asked.cancel()
    async with world.process() as process:
        await process.recover()
        assert process.way() == []
    assert world.named() == {"web": old}
    assert world.stages() == ["pulling", "failed"]
    assert "update again" in world.complaints()[0]["details"]
    assert world.store.begun == {}


# What a repetition of the command is told


async def probed(world: UpdateWorld, process: Process, container_id: str) -> Json | None:
    """The update that world was asked for last, by the next process."""
    entry = process.asking.entry("update_container", container_id=container_id, new_image=NEW)
    return await process.asking.probe(replace(entry, command_id=str(UUID(int=1))))


@pytest.mark.parametrize(
    ("slow", "known"),
    [("pull", None), ("stop", STARTED), ("create", STARTED), ("remove", STARTED)],
)
async def test_what_was_begun_by_a_dead_process(slow: str, known: Json | None) -> None:
    """It was begun if anything was touched, for then this process goes on with it."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.delay_s[slow] = 20.0
    async with world.process() as process, asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(process.update(old))
        await asyncio.sleep(10)
        asked.cancel()
    async with world.process() as process:
        assert await probed(world, process, old) == known


@pytest.mark.parametrize(
    ("recipe", "known"), [(Recipe(), STARTED), (Recipe(refuses_start="no such file"), None)]
)
async def test_what_was_ended_by_a_dead_process(recipe: Recipe, known: Json | None) -> None:
    """What the engine has tells: the new container, or none."""
    world = UpdateWorld()
    world.engine.registry[NEW] = recipe
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        await process.update(old)
        await process.settled()
    async with world.process() as process:
        assert await probed(world, process, old) == known


async def test_a_backup_that_somebody_removes() -> None:
    """What could not be put back and is gone now is not tried again for ever."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        world.engine.delay_s["create"] = 5.0
        await process.update(old)
        await asyncio.sleep(1)
        world.engine.down()
        await process.settled()
        world.engine.up()
        world.engine.goes_unseen(old)
        await process.recover()
        assert process.way()[-1] == "stranded"
    assert world.store.begun == {}


async def test_one_that_has_to_wait_for_another() -> None:
    """A container is updated anew while something is left over of the last time: that is cleaned up later."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.failing["remove"] = EngineRefused("device or resource busy", 500)
    async with world.process() as process:
        await process.update(old)
        await process.settled()
        del world.engine.failing["remove"]
        world.engine.delay_s["start"] = 5.0
        await process.update(world.named()["web"])
        process.updates.engine_came_back()
        await process.settled()
        assert len(world.states()) == 2
        await process.recover()
    assert world.states() == {"web": (NEW, "running")}
    assert len(world.completions()) == 2
    assert world.store.begun == {}


async def test_a_record_of_another_release(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read is left alone and named; the others are gone on with."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    async with world.process() as process:
        world.engine.delay_s["remove"] = 100.0
        await process.update(old)
        await asyncio.sleep(10)
    [job] = world.store.begun.values()
    del job.record["update"]["container_id"]
    async with world.process() as process:
        await process.recover()
        assert process.way() == []
    assert "the record of the update of web cannot be read" in caplog.text
