"""Updates of containers on a real engine: the good, the bad, and those whose agent is killed half-way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import docker
import pytest
from engine import IDLE, busybox_root
from integration.gallery import Gallery

from agent.adapters.engine import DockerEngine, Endpoint
from agent.console.image_registry import ImageRegistry
from agent.ports import CommandFailed, Json

FAILS = ("sh", "-c", "exit 1")
SUCCEEDS = ("sh", "-c", "exit 0")

SECOND_NS = 10**9
ALWAYS = {"Name": "always", "MaximumRetryCount": 0}
NEVER = {"Name": "no", "MaximumRetryCount": 0}


@pytest.fixture(scope="module")
def registry() -> Iterator[ImageRegistry]:
    with ImageRegistry(busybox_root()) as registry:
        yield registry


@pytest.fixture
async def gallery(
    engine_url: str, docker_client: docker.APIClient, registry: ImageRegistry
) -> AsyncIterator[Gallery]:
    engine = DockerEngine(Endpoint.parse(engine_url))
    gallery = Gallery(docker_client, engine, registry)
    yield gallery
    await engine.close()
    gallery.close()


# New


async def test_a_container_with_all_sorts_of_things(gallery: Gallery) -> None:
    """Networks, addresses, aliases, anonymous volumes and its own settings stay; the image brings what is new in it."""
    front, back = gallery.network("10.213.1.0/24"), gallery.network("10.213.2.0/24")
    new_image = gallery.push("2", IDLE, Env=["RELEASE=2"], WorkingDir="/bin")
    endpoint = {"IPAMConfig": {"IPv4Address": "10.213.1.7"}, "Aliases": ["www"]}
    old = gallery.containers.create(
        "web",
        image=gallery.old_image,
        host={"network_mode": front, "restart_policy": {"Name": "unless-stopped"}},
        networking_config={"EndpointsConfig": {front: endpoint}},
        volumes=["/data"],
        environment={"TZ": "UTC"},
        labels={"role": "front"},
    )
    gallery.client.connect_container_to_network(old.id, back, ipv4_address="10.213.2.7")
    gallery.client.start(old.id)
    before = gallery.inspect(old.id)
    await gallery.update(old, new_image)

    after = gallery.inspect(old.name)
    assert after["Id"] != old.id
    assert after["State"]["Status"] == "running"
    assert after["Config"]["Image"] == new_image
    assert set(after["Config"]["Env"]) >= {"TZ=UTC", "RELEASE=2"}
    assert after["Config"]["WorkingDir"] == "/bin"
    assert after["Config"]["Labels"]["role"] == "front"
    assert after["Config"]["Labels"]["release"] == "2"
    assert after["Config"]["Hostname"] == after["Id"][:12]
    assert [mount["Name"] for mount in after["Mounts"]] == [before["Mounts"][0]["Name"]]
    networks = after["NetworkSettings"]["Networks"]
    assert networks[front]["IPAddress"] == "10.213.1.7"
    assert networks[back]["IPAddress"] == "10.213.2.7"
    assert set(networks[front]["Aliases"]) == {"www", after["Id"][:12]}
    assert gallery.left_over(old.name) == []
    assert gallery.world.completions() == [
        {
            "old_container_id": old.id[:12],
            "new_container_id": after["Id"][:12],
            "container_name": old.name,
        }
    ]
    layers = gallery.world.channel.payloads("update_layer_progress")
    assert layers[0]["total_layers"] == 1


async def test_a_container_that_becomes_healthy(gallery: Gallery) -> None:
    """Its own health check decides."""
    check = {"Test": ["CMD", "true"], "Interval": SECOND_NS}
    old = gallery.run()
    await gallery.update(old, gallery.push("2", IDLE, Healthcheck=check))
    assert gallery.inspect(old.name)["State"]["Health"]["Status"] == "healthy"
    assert len(gallery.world.completions()) == 1


async def test_a_container_that_is_stopped(gallery: Gallery) -> None:
    """Its successor is there and was never started."""
    old = gallery.containers.create("web", image=gallery.old_image)
    await gallery.update(old, gallery.push("2", IDLE))
    after = gallery.inspect(old.name)
    assert (after["Id"] != old.id, after["State"]["Status"]) == (True, "created")
    assert len(gallery.world.completions()) == 1


async def test_a_job_that_is_done_at_once(gallery: Gallery) -> None:
    """Exit code 0 without a restart policy is a good end."""
    old = gallery.run()
    await gallery.update(old, gallery.push("2", SUCCEEDS))
    after = gallery.inspect(old.name)
    assert (after["Id"] != old.id, after["State"]["Status"]) == (True, "exited")


async def test_containers_in_its_network(gallery: Gallery) -> None:
    """They are in the new one's, each in the state it was in."""
    vpn = gallery.run("vpn")
    shared = {"network_mode": f"container:{vpn.id}"}
    ran = gallery.run("ran", host=shared)
    stood = gallery.containers.create("stood", image=gallery.old_image, host=shared)
    await gallery.update(vpn, gallery.push("2", IDLE), stop_timeout=5)
    new_id = gallery.inspect(vpn.name)["Id"]
    for old, status in ((ran, "running"), (stood, "created")):
        after = gallery.inspect(old.name)
        assert after["HostConfig"]["NetworkMode"] == f"container:{new_id}"
        assert (after["Id"] != old.id, after["State"]["Status"]) == (True, status)
    assert gallery.left_over(vpn.name, ran.name, stood.name) == []
    assert "failed_dependents" not in gallery.world.completions()[0]


async def test_a_chain_of_containers(gallery: Gallery) -> None:
    """Who shares a network with one that follows, follows as well."""
    vpn = gallery.run("vpn")
    side = gallery.run(
        "side", host={"network_mode": f"container:{vpn.id}", "pid_mode": f"container:{vpn.id}"}
    )
    third = gallery.run("third", host={"network_mode": f"container:{side.id}"})
    await gallery.update(vpn, gallery.push("2", IDLE), stop_timeout=5)
    new = {each: gallery.inspect(each.name) for each in (vpn, side, third)}
    assert {found["State"]["Status"] for found in new.values()} == {"running"}
    assert new[side]["HostConfig"]["PidMode"] == f"container:{new[vpn]['Id']}"
    assert new[third]["HostConfig"]["NetworkMode"] == f"container:{new[side]['Id']}"
    assert gallery.left_over(vpn.name, side.name, third.name) == []
    assert "failed_dependents" not in gallery.world.completions()[0]


async def test_a_container_that_others_are_linked_to(gallery: Gallery) -> None:
    """They could not be started any more, so they follow; the link leads to the new one by its old alias."""
    if not gallery.client.networks(names=["bridge"]):
        pytest.skip("this engine has no default network")
    db = gallery.run("db", host={"network_mode": "bridge"})
    links = {"network_mode": "bridge", "links": {db.name: "store"}}
    web = gallery.run("web", host=links)
    await gallery.update(db, gallery.push("2", IDLE), stop_timeout=5)
    gallery.client.restart(web.name, timeout=1)
    after = gallery.inspect(web.name)
    assert after["HostConfig"]["Links"] == [f"/{db.name}:/{web.name}/store"]
    assert after["State"]["Status"] == "running"
    assert gallery.left_over(db.name, web.name) == []


@pytest.mark.parametrize("is_good", [True, False])
async def test_a_container_that_keeps_crashing(gallery: Gallery, is_good: bool) -> None:
    """It is updated while it waits to be restarted, and what cannot mend it is taken back."""
    broken = gallery.push("0", FAILS)
    gallery.client.pull(broken)
    old = gallery.run(image=broken, command=FAILS, host={"restart_policy": ALWAYS})
    async with asyncio.timeout(30):
        while gallery.inspect(old.id)["RestartCount"] < 5:  # then its pauses are seconds long
            await asyncio.sleep(0.2)
    await gallery.update(old, gallery.push("2", IDLE if is_good else SUCCEEDS))
    after = gallery.inspect(old.name)
    assert (after["Id"] != old.id) is is_good
    assert after["State"]["Running"]
    assert gallery.left_over(old.name) == []


# Old


@pytest.mark.parametrize(
    ("command", "policy", "config", "why"),
    [
        (FAILS, ALWAYS, {}, "it keeps crashing"),
        (FAILS, NEVER, {}, "it exited with code 1"),
        (("/no/such/program",), NEVER, {}, "no such file or directory"),
        (
            IDLE,
            NEVER,
            {"Healthcheck": {"Test": ["CMD", "false"], "Interval": SECOND_NS, "Retries": 1}},
            "its health check fails",
        ),
    ],
    ids=["crash loop", "exit 1", "no program", "unhealthy"],
)
async def test_an_image_that_is_no_good(
    gallery: Gallery,
    command: Sequence[str],
    policy: Json,
    config: Mapping[str, Any],
    why: str,
) -> None:
    """The very container that was there runs again, and somebody is told why."""
    old = gallery.run(host={"restart_policy": policy})
    await gallery.update(old, gallery.push("2", command, **config), health_timeout=10)
    assert gallery.is_untouched(old)
    assert gallery.left_over(old.name) == []
    assert gallery.world.completions() == []
    assert why in gallery.world.complaints()[0]["details"]


async def test_a_network_that_is_gone(gallery: Gallery) -> None:
    """What could run neither as new nor as old is put back under its name, and that is said aloud."""
    network = gallery.network("10.213.3.0/24")
    old = gallery.run(host={"network_mode": network})
    new_image = gallery.push("2", IDLE)

    await gallery.killed(old, new_image, call="create", is_carried_out=True)
    gallery.client.remove_network(gallery.networks.pop())  # for the moment nobody is in it
    await gallery.recovered()
    assert gallery.is_untouched(old, status="exited")
    assert gallery.left_over(old.name) == []
    assert "could not be put back" in gallery.world.complaints()[-1]["details"]


async def test_a_static_address_that_somebody_takes(gallery: Gallery) -> None:
    """Neither can have it: the old one is put back under its name, and runs again once the address is free."""
    network = gallery.network("10.213.5.0/24")
    fixed = {"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": "10.213.5.7"}}}}
    old = gallery.run(host={"network_mode": network}, networking_config=fixed)
    thief = gallery.containers.create(
        "thief",
        image=gallery.old_image,
        host={"network_mode": network},
        networking_config=fixed,
    )

    await gallery.killed(old, gallery.push("2", IDLE), call="create", is_carried_out=True)
    gallery.client.start(thief.id)  # for the moment nobody has it
    await gallery.recovered()
    assert gallery.is_untouched(old, status="exited")
    assert gallery.left_over(old.name) == []
    assert "Address already in use" in gallery.world.complaints()[-1]["details"]

    gallery.client.remove_container(thief.id, force=True)
    await gallery.recovered()
    assert gallery.is_untouched(old)
    assert gallery.world.completions() == []
    assert gallery.world.store.begun == {}


async def test_an_image_that_does_not_exist(gallery: Gallery) -> None:
    """The reply has the registry's answer, and nothing was touched."""
    old = gallery.run()
    async with gallery.world.process(gallery.engine) as process:
        with pytest.raises(CommandFailed, match="manifest unknown"):
            await process.update(old.id, gallery.old_image.replace(":1", ":3"))
    assert gallery.is_untouched(old)


async def test_the_image_it_already_runs(gallery: Gallery) -> None:
    """Pulled again it is the same, so there is nothing to do."""
    old = gallery.run()
    async with gallery.world.process(gallery.engine) as process:
        with pytest.raises(CommandFailed, match="already runs"):
            await process.update(old.id, gallery.old_image)
    assert gallery.is_untouched(old)


# Killed


@pytest.mark.parametrize("is_carried_out", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", ["pull", "rename", "stop", "create", "start", "remove"])
async def test_an_agent_that_is_killed(gallery: Gallery, call: str, is_carried_out: bool) -> None:
    """At each call that changes something: the next agent completes it, unless nothing had been touched."""
    old = gallery.run()
    new_image = gallery.push("2", SUCCEEDS)
    await gallery.killed(old, new_image, call=call, is_carried_out=is_carried_out)
    await gallery.recovered()
    assert gallery.left_over(old.name) == []
    assert gallery.world.store.begun == {}
    if call == "pull":
        assert gallery.is_untouched(old)
        assert gallery.world.completions() == []
        return
    after = gallery.inspect(old.name)
    assert (after["Id"] != old.id, after["State"]["Status"]) == (True, "exited")
    [told] = gallery.world.completions()
    assert told["new_container_id"] == after["Id"][:12]
