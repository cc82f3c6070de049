"""Images, networks and volumes, from the server's button to the engine and back."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from engine import LABEL, NAME_PREFIX, Containers, OwnEngine, connect
from integration.served import Served, serve

from agent.hub.server import Hub

Made = list[str]


@pytest.fixture
def name() -> str:
    return f"{NAME_PREFIX}{secrets.token_hex(4)}"


@pytest.fixture
def tag(docker_client: docker.APIClient, busybox_image: str, name: str) -> Iterator[str]:
    """An image that no container uses."""
    made = docker_client.create_container(busybox_image, ["true"], labels={LABEL: "1"})
    try:
        docker_client.commit(made, name, "1")
    finally:
        docker_client.remove_container(made, v=True, force=True)
    yield f"{name}:1"
    with contextlib.suppress(docker.errors.ImageNotFound):
        docker_client.remove_image(f"{name}:1", force=True)


@pytest.fixture
def network(docker_client: docker.APIClient, name: str) -> Iterator[str]:
    """The name of a network that the test may remove."""
    docker_client.create_network(name, "bridge", labels={LABEL: "1"}, check_duplicate=True)
    yield name
    with contextlib.suppress(docker.errors.NotFound):
        docker_client.remove_network(name)


@pytest.fixture
def volume(docker_client: docker.APIClient, name: str) -> Iterator[str]:
    docker_client.create_volume(name, labels={LABEL: "1"})
    yield name
    with contextlib.suppress(docker.errors.NotFound):
        docker_client.remove_volume(name, force=True)


@pytest.mark.protocol("list_images", "remove_image")
async def test_an_image_from_the_list_to_its_end(
    served: Served, tag: str, containers: Containers
) -> None:
    """It is listed with who uses it, stays while somebody does, and is gone when the server says so."""
    web = containers.create("web", image=tag)
    listed = await served.ask("list_images")
    assert [image["created"] for image in listed] == sorted(
        (image["created"] for image in listed), reverse=True
    )
    (shown,) = [image for image in listed if tag in image["tags"]]
    assert shown["containers"] == [{"id": web.id[:12], "name": web.name}]
    assert (shown["in_use"], shown["container_count"], shown["dangling"]) == (True, 1, False)
    assert shown["size"] > 0

    remove = {"image_id": shown["id"], "force": False}
    assert "is being used by" in await served.refused("remove_image", **remove)
    containers.remove_all()
    assert await served.ask("remove_image", **remove) == {"success": True}
    assert "No such image" in await served.refused("remove_image", **remove)


@pytest.mark.protocol("remove_image")
async def test_an_image_that_is_removed_by_force(
    served: Served, tag: str, containers: Containers
) -> None:
    """A container that does not run keeps it from nothing then."""
    containers.create("web", image=tag)
    (shown,) = [image for image in await served.ask("list_images") if tag in image["tags"]]
    remove = {"image_id": shown["id"], "force": True}
    assert await served.ask("remove_image", **remove) == {"success": True}
    assert not [image for image in await served.ask("list_images") if tag in image["tags"]]


@pytest.mark.protocol("create_network", "list_networks", "delete_network")
async def test_a_network_from_its_creation_to_its_end(
    served: Served, docker_client: docker.APIClient, containers: Containers, name: str
) -> None:
    """Made as asked for, listed with who is in it, refused in the server's words, deleted by force."""
    made = await served.hub.ask(
        served.host.id,
        "create_network",
        {"name": name, "driver": "bridge", "subnet": "", "gateway": "", "internal": True},
    )
    assert made.status == 200
    network_id = made.body["id"]
    try:
        assert (made.body["name"], made.body["internal"]) == (name, True)
        again = await served.hub.ask(
            served.host.id,
            "create_network",
            {"name": name, "driver": "bridge", "subnet": "", "gateway": "", "internal": False},
        )
        assert again.status == 409
        web = containers.run("web", host={"network_mode": name})

        listed = await served.ask("list_networks")
        assert [each["name"] for each in listed] == sorted(each["name"] for each in listed)
        (shown,) = [each for each in listed if each["name"] == name]
        assert shown["containers"] == [{"id": web.id[:12], "name": web.name}]
        assert {each["name"] for each in listed if each["is_builtin"]} >= {"host", "none"}

        delete = {"network_id": network_id, "force": False}
        in_use = await served.hub.ask(served.host.id, "delete_network", delete)
        assert (in_use.status, web.name in str(in_use.detail)) == (409, True)
        forced = await served.hub.ask(served.host.id, "delete_network", delete | {"force": True})
        assert forced.status == 200
        gone = await served.hub.ask(served.host.id, "delete_network", delete)
        assert gone.status == 404
        (host,) = [each for each in listed if each["name"] == "host"]
        built_in = {"network_id": host["id"], "force": True}
        assert (await served.hub.ask(served.host.id, "delete_network", built_in)).status == 400
    finally:
        containers.remove_all()
        with contextlib.suppress(docker.errors.NotFound):
            docker_client.remove_network(name)


@pytest.mark.protocol("create_network")
async def test_a_network_with_addresses_of_its_own(
    served: Served, docker_client: docker.APIClient, name: str
) -> None:
    """The subnet and gateway that a user typed in; nonsense is refused before the engine is asked."""
    config = {"name": name, "driver": "bridge", "internal": False}
    wrong = await served.refused(
        "create_network", **config, subnet="10.213.7.0/24", gateway="1.2.3.4"
    )
    assert "is not in the subnet" in wrong
    made = await served.ask(
        "create_network", **config, subnet="10.213.7.0/24", gateway="10.213.7.1"
    )
    docker_client.remove_network(name)
    assert made["subnet"] == "10.213.7.0/24"


@pytest.mark.protocol("create_volume", "list_volumes", "delete_volume")
async def test_a_volume_from_its_creation_to_its_end(
    served: Served, docker_client: docker.APIClient, containers: Containers, name: str
) -> None:
    """Made, listed with who mounts it, refused in the server's words, deleted."""
    assert await served.ask("create_volume", name=name) == {"name": name}
    try:
        web = containers.create("web", host={"binds": [f"{name}:/data"]}, volumes=["/data"])
        (shown,) = [each for each in await served.ask("list_volumes") if each["name"] == name]
        assert shown["containers"] == [{"id": web.id[:12], "name": web.name}]
        assert shown["created"].endswith("Z")

        delete = {"volume_name": name, "force": True}
        in_use = await served.hub.ask(served.host.id, "delete_volume", delete)
        assert in_use.status == 409
        containers.remove_all()
        assert (await served.hub.ask(served.host.id, "delete_volume", delete)).status == 200
        gone = await served.hub.ask(served.host.id, "delete_volume", delete | {"force": False})
        assert gone.status == 404
    finally:
        containers.remove_all()
        with contextlib.suppress(docker.errors.NotFound):
            docker_client.remove_volume(name)


@pytest.mark.protocol(
    "operation list_networks",
    "operation create_network",
    "operation list_volumes",
    "operation create_volume",
    "validate_ports",
)
async def test_the_same_as_container_actions(
    served: Served, docker_client: docker.APIClient, name: str
) -> None:
    """What the server knows as actions and does not send yet: answered flat, each under its own key."""
    action = "container_operation"
    try:
        made = await served.ask("create_network", kind=action, name=name, driver="bridge")
        listed = await served.ask("list_networks", kind=action)
        assert made["network_id"] in [
            each["id"] for each in listed["networks"] if each["name"] == name
        ]
        volume = await served.ask("create_volume", kind=action, name=name)
        assert volume["volume_name"] == name
        volumes = await served.ask("list_volumes", kind=action)
        assert name in [each["name"] for each in volumes["volumes"]]
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            docker_client.remove_network(name)
        with contextlib.suppress(docker.errors.NotFound):
            docker_client.remove_volume(name)
    assert (await served.ask("validate_ports", ports={"80/tcp": 1}))["success"] is True
    assert "not a port" in await served.refused("validate_ports", ports={"80/tcp": "http"})


@pytest.mark.protocol("prune_images", "prune_networks", "prune_volumes")
async def test_pruning(own_engine: OwnEngine, hub: Hub, tmp_path: Path) -> None:
    """All that nobody uses goes, tagged and named ones too, and is counted; what is used stays."""
    with contextlib.closing(connect(own_engine.url)) as client:
        made = Containers(client)
        used = made.create("web", host={"binds": ["used:/data"]}, volumes=["/data"])
        client.commit(used.id, "unused", "1")
        client.create_volume("spare")
        client.create_network("spare", "bridge")
        async with serve(hub, own_engine.url, tmp_path) as served:
            images = await served.ask("prune_images")
            assert images["removed_count"] >= 1
            assert [each["tags"] for each in await served.ask("list_images")] == [
                ["dockmon-agent-test/busybox:latest"]
            ]
            volumes = await served.ask("prune_volumes")
            assert (volumes["removed_count"], volumes["volumes_removed"]) == (1, ["spare"])
            assert [each["name"] for each in await served.ask("list_volumes")] == ["used"]
            networks = await served.ask("prune_networks")
            assert networks == {"removed_count": 1, "networks_removed": ["spare"]}
        made.remove_all()
