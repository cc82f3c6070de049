"""What every engine behind the port does with images, networks, volumes and counters."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator

import pytest
from engine_contract import DEADLINE_S, NOBODY, Sink, Subject, state

from agent.ports import Conflict, Engine, EngineRefused, Json, NotFound


@contextlib.asynccontextmanager
async def container(subject: Subject, name: str, **config: object) -> AsyncIterator[str]:
    """A container from the Engine API's own body, removed afterwards."""
    body = {"Image": subject.image, **config}
    made = await subject.engine.create(body, subject.name(name), deadline_s=DEADLINE_S)
    try:
        yield made
    finally:
        with contextlib.suppress(NotFound):
            await subject.engine.remove(made, force=True, deadline_s=DEADLINE_S)


@contextlib.asynccontextmanager
async def network(subject: Subject, name: str) -> AsyncIterator[tuple[str, str]]:
    """A network with a subnet that nobody else has: its name, and its first 24 bits with a dot behind them."""
    bits = f"10.{100 + secrets.randbelow(100)}.{secrets.randbelow(256)}."
    full_name = subject.name(name)
    await subject.engine.create_network(network_config(full_name, bits), deadline_s=DEADLINE_S)
    try:
        yield full_name, bits
    finally:
        with contextlib.suppress(NotFound):
            await subject.engine.remove_network(full_name, deadline_s=DEADLINE_S)


def network_config(name: str, bits: str) -> Json:
    return {"Name": name, "Driver": "bridge", "IPAM": {"Config": [{"Subnet": f"{bits}0/24"}]}}


def in_network(name: str, **endpoint: object) -> Json:
    return {
        "HostConfig": {"NetworkMode": name},
        "NetworkingConfig": {"EndpointsConfig": {name: endpoint}},
    }


async def endpoints(engine: Engine, container_id: str) -> Json:
    inspected = await engine.inspect_container(container_id, deadline_s=DEADLINE_S)
    found: Json = inspected["NetworkSettings"]["Networks"]
    return found


class NetworksContract:
    """Subclasses provide the fixture `subject`."""

    async def test_an_address_lasts_as_long_as_the_run(self, subject: Subject) -> None:
        """What was asked for stays, what the engine gave goes with the process."""
        engine = subject.engine
        async with network(subject, "front") as (name, bits):
            asked = {"IPAMConfig": {"IPv4Address": f"{bits}9"}, "Aliases": ["www"]}
            async with container(subject, "web", **in_network(name, **asked)) as web:
                before = (await endpoints(engine, web))[name]
                assert (before["IPAddress"], before["EndpointID"]) == ("", "")
                await engine.start(web, deadline_s=DEADLINE_S)
                during = (await endpoints(engine, web))[name]
                assert (during["IPAddress"], during["IPPrefixLen"]) == (f"{bits}9", 24)
                assert {"www"} <= set(during["Aliases"])
                found = await engine.inspect_network(name, deadline_s=DEADLINE_S)
                assert during["NetworkID"] == found["Id"]
                member = found["Containers"][web]
                assert member["Name"] == subject.name("web")
                assert member["IPv4Address"] == f"{bits}9/24"
                assert member["MacAddress"] == during["MacAddress"]
                await engine.stop(web, timeout_s=1, deadline_s=DEADLINE_S)
                after = (await endpoints(engine, web))[name]
                assert (after["IPAddress"], after["IPAMConfig"]) == ("", asked["IPAMConfig"])
                found = await engine.inspect_network(name, deadline_s=DEADLINE_S)
                assert found["Containers"] == {}

    async def test_networks_are_listed_without_their_containers(self, subject: Subject) -> None:
        """The three that are built in, or what is left of them, and ours by its subnet."""
        async with (
            network(subject, "front") as (name, bits),
            container(subject, "web", **in_network(name)) as web,
        ):
            await subject.engine.start(web, deadline_s=DEADLINE_S)
            listed = await subject.engine.networks(deadline_s=DEADLINE_S)
            by_name = {each["Name"]: each for each in listed}
            assert {"host", "none"} <= by_name.keys()
            assert by_name[name]["IPAM"]["Config"][0]["Subnet"] == f"{bits}0/24"
            assert (by_name[name]["Driver"], by_name[name]["Scope"]) == ("bridge", "local")
            assert not by_name[name].get("Containers")

    async def test_an_address_that_is_taken(self, subject: Subject) -> None:
        """Nobody minds before the container is to run; then it does not start, and says why ever after."""
        engine = subject.engine
        async with network(subject, "front") as (name, bits):
            same = in_network(name, IPAMConfig={"IPv4Address": f"{bits}9"})
            async with (
                container(subject, "one", **same) as one,
                container(subject, "two", **same) as two,
            ):
                await engine.start(one, deadline_s=DEADLINE_S)
                with pytest.raises(EngineRefused, match="Address already in use"):
                    await engine.start(two, deadline_s=DEADLINE_S)
                found = await state(engine, two)
                assert (found["Status"], found["Running"]) == ("created", False)
                assert "Address already in use" in found["Error"]
                assert found["ExitCode"] != 0

    async def test_connect_and_disconnect(self, subject: Subject) -> None:
        """At once if the container runs; what is so already is refused."""
        engine, sink = subject.engine, Sink()
        async with (
            network(subject, "front") as (front, _),
            network(subject, "back") as (back, bits),
            container(subject, "web", **in_network(front)) as web,
        ):
            await engine.start(web, deadline_s=DEADLINE_S)
            moves = {"type": ["network"], "event": ["connect", "disconnect"]}
            reader = engine.read_events(moves, sink)
            settings = {"IPAMConfig": {"IPv4Address": f"{bits}7"}}
            await engine.connect(back, web, settings, deadline_s=DEADLINE_S)
            assert (await endpoints(engine, web))[back]["IPAddress"] == f"{bits}7"
            with pytest.raises(EngineRefused, match="already exists"):
                await engine.connect(back, web, {}, deadline_s=DEADLINE_S)
            back_id = (await engine.inspect_network(back, deadline_s=DEADLINE_S))["Id"]
            await engine.disconnect(back, web, force=False, deadline_s=DEADLINE_S)
            assert list(await endpoints(engine, web)) == [front]
            with pytest.raises(EngineRefused, match="is not connected"):
                await engine.disconnect(back, web, force=False, deadline_s=DEADLINE_S)
            told = await sink.until(back_id, "disconnect")
            assert (told[0], set(told[1:])) == ("connect", {"disconnect"})  # dockerd tells it twice
            assert sink.events[-1]["Actor"]["Attributes"]["container"] == web
            reader.close()

    async def test_connecting_before_the_start(self, subject: Subject) -> None:
        """The container is a member from its start on."""
        engine = subject.engine
        async with (
            network(subject, "front") as (front, _),
            network(subject, "back") as (back, _),
            container(subject, "web", **in_network(front)) as web,
        ):
            await engine.connect(back, web, {"Aliases": ["db"]}, deadline_s=DEADLINE_S)
            assert not (await endpoints(engine, web))[back]["IPAddress"]
            await engine.start(web, deadline_s=DEADLINE_S)
            found = await endpoints(engine, web)
            assert found.keys() == {front, back}
            assert found[back]["IPAddress"]
            assert "db" in found[back]["Aliases"]

    async def test_removing_a_network(self, subject: Subject) -> None:
        """Not while somebody runs in it; one that only could run in it does not start any more."""
        engine = subject.engine
        async with (
            network(subject, "front") as (name, _),
            container(subject, "web", **in_network(name)) as web,
        ):
            await engine.start(web, deadline_s=DEADLINE_S)
            with pytest.raises(EngineRefused, match="has active endpoints"):
                await engine.remove_network(name, deadline_s=DEADLINE_S)
            await engine.stop(web, timeout_s=1, deadline_s=DEADLINE_S)
            await engine.remove_network(name, deadline_s=DEADLINE_S)
            with pytest.raises(NotFound, match="not found"):
                await engine.start(web, deadline_s=DEADLINE_S)

    async def test_networks_that_cannot_be(self, subject: Subject) -> None:
        """A name that is taken, a subnet that is taken, a name of the engine's own."""
        engine = subject.engine
        async with network(subject, "front") as (name, bits):
            found = await engine.inspect_network(name, deadline_s=DEADLINE_S)
            assert len(found["Id"]) == 64
            same = await engine.inspect_network(found["Id"][:12], deadline_s=DEADLINE_S)
            assert same["Name"] == name
            with pytest.raises(Conflict, match="already exists"):
                await engine.create_network({"Name": name}, deadline_s=DEADLINE_S)
            with pytest.raises(EngineRefused, match="overlaps"):
                await engine.create_network(
                    network_config(subject.name("other"), bits), deadline_s=DEADLINE_S
                )
            with pytest.raises(EngineRefused, match="predefined"):
                await engine.create_network({"Name": "host"}, deadline_s=DEADLINE_S)
            with pytest.raises(EngineRefused, match="pre-defined"):
                await engine.remove_network("host", deadline_s=DEADLINE_S)

    async def test_a_network_of_somebody_else(self, subject: Subject) -> None:
        """`container:NAME` is kept as an ID; it takes no hostname, and runs only beside the other."""
        engine, owner = subject.engine, subject.add("owner", running=True)
        shared = {"HostConfig": {"NetworkMode": f"container:{subject.name('owner')}"}}
        async with container(subject, "guest", **shared) as guest:
            inspected = await engine.inspect_container(guest, deadline_s=DEADLINE_S)
            assert inspected["HostConfig"]["NetworkMode"] == f"container:{owner}"
            assert inspected["NetworkSettings"]["Networks"] == {}
            await engine.start(guest, deadline_s=DEADLINE_S)
            await engine.stop(guest, timeout_s=1, deadline_s=DEADLINE_S)
            await engine.stop(owner, timeout_s=1, deadline_s=DEADLINE_S)
            with pytest.raises(Conflict, match="non running container"):
                await engine.start(guest, deadline_s=DEADLINE_S)
            await engine.remove(owner, force=True, deadline_s=DEADLINE_S)
            with pytest.raises(NotFound, match="No such container"):
                await engine.start(guest, deadline_s=DEADLINE_S)
        with pytest.raises(EngineRefused, match="conflicting options: hostname"):
            await engine.create(
                {"Image": subject.image, "Hostname": "own", **shared}, None, deadline_s=DEADLINE_S
            )

    async def test_no_such_network(self, subject: Subject) -> None:
        """Said of whatever is asked of it, and of a container that is not there."""
        engine, web = subject.engine, subject.add("web", running=True)
        for ask in (
            lambda: engine.inspect_network(NOBODY, deadline_s=DEADLINE_S),
            lambda: engine.remove_network(NOBODY, deadline_s=DEADLINE_S),
            lambda: engine.connect(NOBODY, web, {}, deadline_s=DEADLINE_S),
            lambda: engine.disconnect(NOBODY, web, force=False, deadline_s=DEADLINE_S),
        ):
            with pytest.raises(NotFound, match=f"network {NOBODY} not found"):
                await ask()
        async with network(subject, "front") as (name, _):
            with pytest.raises(NotFound):
                await engine.connect(name, NOBODY, {}, deadline_s=DEADLINE_S)

    async def test_a_network_that_is_not_there_yet(self, subject: Subject) -> None:
        """A container may be connected to it all the same, and has to be disconnected before it can start."""
        engine, name = subject.engine, subject.name("later")
        async with (
            network(subject, "front") as (front, _),
            container(subject, "web", **in_network(front)) as web,
        ):
            await engine.connect(name, web, {}, deadline_s=DEADLINE_S)
            with pytest.raises(NotFound, match=f"network {name} not found"):
                await engine.start(web, deadline_s=DEADLINE_S)
            await engine.disconnect(name, web, force=True, deadline_s=DEADLINE_S)
            await engine.start(web, deadline_s=DEADLINE_S)


class VolumesContract:
    """Subclasses provide the fixture `subject`."""

    async def test_a_volume(self, subject: Subject) -> None:
        """Created twice it is the one that was there; it is listed, and gone when it was removed."""
        engine, name = subject.engine, subject.name("data")
        made = await engine.create_volume(
            {"Name": name, "Labels": {"a": "b"}}, deadline_s=DEADLINE_S
        )
        again = await engine.create_volume({"Name": name}, deadline_s=DEADLINE_S)
        assert (made["Name"], made["Driver"], made["Labels"]) == (name, "local", {"a": "b"})
        assert again == made
        listed = await engine.volumes(deadline_s=DEADLINE_S)
        assert [each for each in listed if each["Name"] == name] == [made]
        await engine.remove_volume(name, force=False, deadline_s=DEADLINE_S)
        with pytest.raises(NotFound, match="no such volume"):
            await engine.remove_volume(name, force=False, deadline_s=DEADLINE_S)
        await engine.remove_volume(
            name, force=True, deadline_s=DEADLINE_S
        )  # force: be it there or not

    async def test_volumes_of_a_container(self, subject: Subject) -> None:
        """A named one and one without a name, in use as long as the container is there, running or not."""
        engine, name = subject.engine, subject.name("data")
        body = {
            "Volumes": {"/cache": {}},
            "HostConfig": {"NetworkMode": "none", "Binds": [f"{name}:/data:ro"]},
        }
        async with container(subject, "web", **body) as web:
            mounts = await volume_mounts(engine, web)
            assert mounts.keys() == {"/data", "/cache"}
            assert (mounts["/data"]["Name"], mounts["/data"]["RW"]) == (name, False)
            nameless = mounts["/cache"]["Name"]
            assert (len(nameless), mounts["/cache"]["RW"]) == (64, True)
            for volume in (name, nameless):
                with pytest.raises(Conflict, match="volume is in use"):
                    await engine.remove_volume(volume, force=True, deadline_s=DEADLINE_S)
        for volume in (name, nameless):
            await engine.remove_volume(volume, force=False, deadline_s=DEADLINE_S)

    async def test_a_container_that_removes_itself(self, subject: Subject) -> None:
        """With `AutoRemove` a stop is the end of it, and of its volumes without a name."""
        engine, sink, name = subject.engine, Sink(), subject.name("kept")
        host_config = {"NetworkMode": "none", "AutoRemove": True, "Binds": [f"{name}:/data"]}
        body = {"Volumes": {"/cache": {}}, "HostConfig": host_config}
        async with container(subject, "once", **body) as once:
            nameless = (await volume_mounts(engine, once))["/cache"]["Name"]
            reader = engine.read_events({"type": ["container"]}, sink)
            await engine.start(once, deadline_s=DEADLINE_S)
            await engine.stop(once, timeout_s=1, deadline_s=DEADLINE_S)
            told = await sink.until(once, "destroy")
            assert told[-4:] == ["kill", "die", "stop", "destroy"]
            with pytest.raises(NotFound):
                await engine.inspect_container(once, deadline_s=DEADLINE_S)
            with pytest.raises(NotFound):
                await engine.remove_volume(nameless, force=False, deadline_s=DEADLINE_S)
            await engine.remove_volume(name, force=False, deadline_s=DEADLINE_S)
            reader.close()


async def volume_mounts(engine: Engine, container_id: str) -> Json:
    """The mounts of type volume, by where they are in the container."""
    inspected = await engine.inspect_container(container_id, deadline_s=DEADLINE_S)
    return {
        mount["Destination"]: mount for mount in inspected["Mounts"] if mount["Type"] == "volume"
    }


class ImagesContract:
    """Subclasses provide the fixture `subject`."""

    async def test_images_are_listed(self, subject: Subject) -> None:
        """By their tags, with a size."""
        name = subject.add_image()
        listed = await subject.engine.images(deadline_s=DEADLINE_S)
        [image] = [each for each in listed if name in (each["RepoTags"] or ())]
        inspected = await subject.engine.inspect_image(name, deadline_s=DEADLINE_S)
        assert (image["Id"], image["RepoTags"]) == (inspected["Id"], inspected["RepoTags"])
        assert image["Size"] == inspected["Size"] > 0

    async def test_removing_an_image(self, subject: Subject) -> None:
        """By its tag; then there is none."""
        engine, name = subject.engine, subject.add_image()
        await engine.remove_image(name, force=False, deadline_s=DEADLINE_S)
        with pytest.raises(NotFound, match=r"(?i)no such image"):
            await engine.remove_image(name, force=False, deadline_s=DEADLINE_S)

    async def test_an_image_in_use(self, subject: Subject) -> None:
        """Its last tag goes by force alone, and the image itself not at all while its container runs."""
        engine, name = subject.engine, subject.add_image()
        image_id = (await engine.inspect_image(name, deadline_s=DEADLINE_S))["Id"]
        async with container(subject, "web", Image=name, HostConfig={"NetworkMode": "none"}) as web:
            await engine.start(web, deadline_s=DEADLINE_S)
            with pytest.raises(Conflict, match="is using its referenced image"):
                await engine.remove_image(name, force=False, deadline_s=DEADLINE_S)
            with pytest.raises(Conflict, match="is being used by running container"):
                await engine.remove_image(image_id, force=True, deadline_s=DEADLINE_S)
            await engine.remove_image(name, force=True, deadline_s=DEADLINE_S)
            left = await engine.inspect_image(image_id, deadline_s=DEADLINE_S)
            assert not left["RepoTags"]
            [listed] = [
                each for each in await engine.containers(deadline_s=DEADLINE_S) if each["Id"] == web
            ]
            assert listed["Image"] == image_id
        await engine.remove_image(image_id, force=False, deadline_s=DEADLINE_S)


class StatsContract:
    """Subclasses provide the fixture `subject`."""

    async def test_one_look_at_the_counters(self, subject: Subject) -> None:
        """Whole numbers since the container's start, and no second look to compare with."""
        web = subject.add("web", running=True)
        stats = await subject.engine.stats(web, deadline_s=DEADLINE_S)
        assert (stats["id"], stats["name"]) == (web, f"/{subject.name('web')}")
        assert isinstance(stats["cpu_stats"]["cpu_usage"]["total_usage"], int)
        assert stats["cpu_stats"]["online_cpus"] > 0
        assert stats["memory_stats"]["usage"] > 0
        assert stats["memory_stats"]["limit"] > stats["memory_stats"]["usage"]
        assert not stats["precpu_stats"].get("system_cpu_usage")

    async def test_a_container_that_does_not_run_has_none(self, subject: Subject) -> None:
        """No error, but an answer without figures; nobody's is an error."""
        stats = await subject.engine.stats(subject.add("job"), deadline_s=DEADLINE_S)
        assert stats["read"].startswith("0001-01-01")
        assert not stats["memory_stats"].get("usage")
        with pytest.raises(NotFound):
            await subject.engine.stats(NOBODY, deadline_s=DEADLINE_S)

    async def test_the_version_of_the_api(self, subject: Subject) -> None:
        """As two numbers, to be compared."""
        assert await subject.engine.api_version(deadline_s=DEADLINE_S) >= (1, 24)


class RestartsContract:
    """Subclasses provide the fixture `subject`."""

    async def test_a_crash_loop(self, subject: Subject) -> None:
        """It counts its restarts and starts anew each time, until it is stopped: then it stays so."""
        engine, sink = subject.engine, Sink()
        web = subject.add_dying("web", exit_code=3, policy={"Name": "always"})
        reader = engine.read_events({"type": ["container"], "event": ["start", "die"]}, sink)
        await engine.start(web, deadline_s=DEADLINE_S)
        first = (await state(engine, web))["StartedAt"]
        while sink.actions(web).count("die") < 3:
            await sink.until(web, "start")
            await sink.until(web, "die")
        inspected = await engine.inspect_container(web, deadline_s=DEADLINE_S)
        assert inspected["RestartCount"] >= 2
        assert inspected["State"]["StartedAt"] > first
        await engine.stop(web, timeout_s=1, deadline_s=DEADLINE_S)
        assert (await state(engine, web))["Status"] == "exited"
        reader.close()

    async def test_a_limited_number_of_restarts(self, subject: Subject) -> None:
        """`on-failure:1` tries once more, and leaves the exit code."""
        engine, sink = subject.engine, Sink()
        policy = {"Name": "on-failure", "MaximumRetryCount": 1}
        job = subject.add_dying("job", exit_code=3, policy=policy)
        reader = engine.read_events({"type": ["container"], "event": ["start", "die"]}, sink)
        await engine.start(job, deadline_s=DEADLINE_S)
        while len(sink.actions(job)) < 4:
            await sink.until(job, "start")
            await sink.until(job, "die")
        assert sink.actions(job) == ["start", "die"] * 2
        inspected = await engine.inspect_container(job, deadline_s=DEADLINE_S)
        assert inspected["RestartCount"] == 1
        found = inspected["State"]
        assert (found["Status"], found["Restarting"], found["ExitCode"]) == ("exited", False, 3)
        reader.close()

    async def test_a_job_that_is_done(self, subject: Subject) -> None:
        """`on-failure` minds no exit code of 0."""
        engine, sink = subject.engine, Sink()
        job = subject.add_dying("job", exit_code=0, policy={"Name": "on-failure"})
        reader = engine.read_events({"type": ["container"]}, sink)
        await engine.start(job, deadline_s=DEADLINE_S)
        await sink.until(job, "die")
        inspected = await engine.inspect_container(job, deadline_s=DEADLINE_S)
        assert (inspected["RestartCount"], inspected["State"]["ExitCode"]) == (0, 0)
        assert inspected["State"]["Status"] == "exited"
        reader.close()


class PrunesContract:
    """Subclasses provide the fixture `subject`: of an engine that nobody else uses."""

    async def test_images_that_nothing_uses(self, subject: Subject) -> None:
        """Tagged or not; what a container was made from stays, though it does not run."""
        engine, unused = subject.engine, subject.add_image()
        subject.add("job")
        image_id = (await engine.inspect_image(unused, deadline_s=DEADLINE_S))["Id"]
        pruned = await engine.prune_images(deadline_s=DEADLINE_S)
        assert {"Untagged": unused} in pruned["ImagesDeleted"]
        assert {"Deleted": image_id} in pruned["ImagesDeleted"]
        assert pruned["SpaceReclaimed"] >= 0  # layers that others share do not count
        tags = [each["RepoTags"] for each in await engine.images(deadline_s=DEADLINE_S)]
        assert tags == [[subject.image]]
        again = await engine.prune_images(deadline_s=DEADLINE_S)
        assert (again["ImagesDeleted"], again["SpaceReclaimed"]) == (None, 0)

    async def test_networks_that_nobody_is_in(self, subject: Subject) -> None:
        """None of the engine's own."""
        engine, name = subject.engine, subject.name("front")
        await engine.create_network({"Name": name}, deadline_s=DEADLINE_S)
        before = {each["Name"] for each in await engine.networks(deadline_s=DEADLINE_S)}
        pruned = await engine.prune_networks(deadline_s=DEADLINE_S)
        assert pruned["NetworksDeleted"] == [name]
        after = {each["Name"] for each in await engine.networks(deadline_s=DEADLINE_S)}
        assert before - after == {name}
        assert (await engine.prune_networks(deadline_s=DEADLINE_S))["NetworksDeleted"] is None

    async def test_volumes_that_no_container_has(self, subject: Subject) -> None:
        """With a name or without; what a container has stays, though it does not run."""
        engine, kept, unused = subject.engine, subject.name("kept"), subject.name("unused")
        await engine.create_volume({"Name": unused}, deadline_s=DEADLINE_S)
        nameless = await engine.create_volume({}, deadline_s=DEADLINE_S)
        host_config = {"NetworkMode": "none", "Binds": [f"{kept}:/data"]}
        async with container(subject, "web", HostConfig=host_config):
            pruned = await engine.prune_volumes(deadline_s=DEADLINE_S)
            assert set(pruned["VolumesDeleted"]) == {unused, nameless["Name"]}
            left = [each["Name"] for each in await engine.volumes(deadline_s=DEADLINE_S)]
            assert left == [kept]
            again = await engine.prune_volumes(deadline_s=DEADLINE_S)
            assert not again["VolumesDeleted"]
