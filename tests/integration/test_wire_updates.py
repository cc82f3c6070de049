"""Updates, from the server's button until it shows how they ended."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest
from docker_registry import PASSWORD, USER, DockerRegistry
from engine import IDLE, LABEL, Containers
from integration.served import Served

from agent.console.image_registry import ImageRegistry

SUCCESS = [
    "pulling",
    "configuring",
    "backup",
    "creating",
    "starting",
    "health_check",
    "cleanup",
    "completed",
]
SECOND_NS = 10**9
UNWELL = {"Test": ["CMD", "false"], "Interval": SECOND_NS, "Timeout": SECOND_NS, "Retries": 1}


class Shop:
    """Two releases of an image in a registry, and a container of the first."""

    def __init__(
        self, client: docker.APIClient, registry: ImageRegistry, containers: Containers
    ) -> None:
        self.client, self._registry = client, registry
        self.old_image = self.release("1")
        client.pull(self.old_image)
        self.web = containers.run("web", IDLE, image=self.old_image, labels={"role": "front"})

    def release(self, tag: str, **config: object) -> str:
        image = {"Cmd": list(IDLE), "Labels": {LABEL: "1"}, **config}
        return self._registry.push("paper", tag, image)

    @property
    def now(self) -> tuple[str, str, bool]:
        """(ID, image, whether it runs) of the container under its name."""
        found = self.client.inspect_container(self.web.name)
        return found["Id"], found["Config"]["Image"], found["State"]["Running"]

    def clear(self) -> None:
        for image in self.client.images():
            for tag in image["RepoTags"] or ():
                if tag.startswith(f"{self._registry.address}/"):
                    self.client.remove_image(tag, force=True)


@pytest.fixture
def shop(
    docker_client: docker.APIClient, image_registry: ImageRegistry, containers: Containers
) -> Iterator[Shop]:
    shop = Shop(docker_client, image_registry, containers)
    yield shop
    containers.remove_all()
    shop.clear()


@pytest.mark.protocol(
    "update_container", "update_progress", "update_layer_progress", "update_complete"
)
async def test_an_update_that_succeeds(served: Served, shop: Shop) -> None:
    """The server moves its settings to the new ID; every stage was told once, and how far the pull was."""
    new_image = shop.release("2", Env=["RELEASE=2"])
    old_id = shop.web.id
    result = await served.hub.update_container(served.host.id, old_id, new_image)
    assert result.error is None
    new_id, image, is_running = shop.now
    assert (image, is_running) == (new_image, True)
    assert result.container_id == new_id[:12] != old_id[:12]

    stages = [each.stage for each in served.hub.update_progress.of(served.host.id, old_id)]
    assert stages == SUCCESS
    layers = served.hub.layer_progress.of(served.host.id, old_id)
    assert layers[-1].overall_progress == 100
    assert [each.overall_progress for each in layers] == sorted(e.overall_progress for e in layers)
    (completed,) = served.hub.updates.completed
    assert (completed.expected, completed.update.container_name) == (True, shop.web.name)


@pytest.mark.protocol("update dependents")
async def test_containers_in_its_network(
    served: Served, docker_client: docker.APIClient, shop: Shop, containers: Containers
) -> None:
    """They are made anew in the new one's network; one whose image is gone stays as it is, and the server knows."""
    in_its_network = {"network_mode": f"container:{shop.web.id}"}
    side = containers.run("side", IDLE, image=shop.old_image, host=in_its_network)
    lost_image = shop.release("lost", Env=["LOST=1"])
    docker_client.pull(lost_image)
    lost = containers.create("lost", IDLE, image=lost_image, host=in_its_network)
    docker_client.remove_image(lost_image, force=True)

    new_image = shop.release("2", Env=["RELEASE=2"])
    result = await served.hub.update_container(served.host.id, shop.web.id, new_image)
    assert result.error is None
    assert result.failed_dependents == (lost.name,)
    joined = docker_client.inspect_container(side.name)
    assert joined["Id"] != side.id
    assert joined["State"]["Running"]
    assert joined["HostConfig"]["NetworkMode"] == f"container:{shop.now[0]}"
    assert docker_client.inspect_container(lost.name)["Id"] == lost.id


@pytest.mark.protocol("update rollback", "error")
async def test_an_update_that_is_taken_back(served: Served, shop: Shop) -> None:
    """One that never gets well: the old container runs again under its own ID, and the event log says why."""
    unwell = shop.release("2", Healthcheck=UNWELL)
    acknowledged = await served.ask(
        "update_container",
        container_id=shop.web.id[:12],
        new_image=unwell,
        stop_timeout=5,
        health_timeout=6,
        registry_auth=None,
    )
    assert acknowledged == {"status": "update_started"}
    async with served.patience():
        while (await served.told("update_progress", shop.web.id))["stage"] != "rollback":
            pass
    async with served.patience():
        while not (told := [each for each in served.hub.log(served.host.id) if each.failed]):
            await served.next_frame()
    assert "not well" in told[0].text
    assert shop.now == (shop.web.id, shop.old_image, True)
    assert not served.hub.updates.completed
    listed = [name for each in await served.ask("list_containers") for name in each["Names"]]
    assert [name for name in listed if name.startswith(f"/{shop.web.name}-")] == []


@pytest.mark.protocol("update refused")
async def test_what_is_refused_at_once(served: Served, shop: Shop, containers: Containers) -> None:
    """The reply is the only way to tell a failure soon: what can be known before, is."""
    new_image = shop.release("2")

    async def why(container_id: str, image: str) -> str:
        return await served.refused(
            "update_container", container_id=container_id[:12], new_image=image
        )

    assert "No such container" in await why("0" * 12, new_image)
    assert "manifest unknown" in await why(shop.web.id, new_image.replace(":2", ":3"))
    assert "nothing to do" in await why(shop.web.id, shop.old_image)
    assert "new_image" in await why(shop.web.id, "no reference!")
    fleeting = containers.run("fleeting", IDLE, image=shop.old_image, host={"auto_remove": True})
    assert "--rm" in await why(fleeting.id, new_image)
    assert shop.now == (shop.web.id, shop.old_image, True)


@pytest.mark.protocol("update_container")
async def test_an_image_that_takes_credentials(
    served: Served,
    docker_client: docker.APIClient,
    docker_registry: DockerRegistry,
    busybox_image: str,
    containers: Containers,
) -> None:
    """The server's credentials open the registry; without them the update is refused, and nothing is touched."""
    new_image = docker_registry.push(docker_client, "private:2", IDLE, base=busybox_image)
    web = containers.run("web")
    denied = await served.hub.update_container(served.host.id, web.id, new_image)
    assert denied.error
    assert PASSWORD not in denied.error
    assert docker_client.inspect_container(web.name)["Id"] == web.id
    auth = {"username": USER, "password": PASSWORD}
    result = await served.hub.update_container(
        served.host.id, web.id, new_image, registry_auth=auth
    )
    containers.remove_all()
    docker_client.remove_image(new_image, force=True)
    assert result.error is None


@pytest.mark.protocol("self_update")
async def test_another_products_image(served: Served) -> None:
    """The server's button offers the image of its own agent: that would replace this one by another program."""
    answer = await served.hub.update_agent(served.host.id, "2.4.5")
    assert not answer.ok
    assert answer.detail
