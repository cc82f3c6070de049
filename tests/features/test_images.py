"""Images: what is listed, what is removed, and what a repetition finds out."""

from __future__ import annotations

import pytest
from fakes.engine import PAPER, FakeEngine
from features.asking import Asking

from agent.features.images import images
from agent.ports import Conflict, NotFound


class World(Asking):
    """An engine with `web`, which runs an image, and another image that nobody uses."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.web = self.engine.add("web", running=True)
        self.unused = self.engine.image_store.add("unused:1").id
        super().__init__(images(self.engine))


async def test_the_list_says_who_uses_what() -> None:
    """Two questions to the engine, whatever the number of images."""
    world = World()
    shown = {image["tags"][0]: image for image in await world.ask("list_images")}
    assert shown[PAPER]["containers"] == [{"id": world.web[:12], "name": "web"}]
    assert (shown["unused:1"]["in_use"], shown["unused:1"]["container_count"]) == (False, 0)
    assert world.engine.calls == {"images": 1, "containers": 1}


async def test_an_image_is_removed_by_its_short_id() -> None:
    """As the server sends it; what was removed is found to be gone, and what was not is not."""
    world = World()
    short = world.unused.removeprefix("sha256:")[:12]
    entry = world.entry("remove_image", image_id=short)
    assert await world.probe(entry) is None
    assert await world.ask("remove_image", image_id=short, force=False) == {"success": True}
    assert await world.probe(entry) == {"success": True}


async def test_an_image_in_use_stays() -> None:
    """The engine's own words reach the user."""
    world = World()
    with pytest.raises(Conflict, match="being used by running container"):
        await world.ask("remove_image", image_id=world.engine.boxes[world.web].image_id)


async def test_an_image_that_is_not_there() -> None:
    """It is an error, not a success: the list that was clicked on is old."""
    with pytest.raises(NotFound, match="No such image"):
        await World().ask("remove_image", image_id="0" * 12)


async def test_pruning_counts_what_went() -> None:
    """Tagged images that nobody uses go too; a second time there is nothing left."""
    world = World()
    pruned = await world.ask("prune_images")
    assert pruned["removed_count"] == 1
    assert pruned["space_reclaimed"] > 0
    assert await world.ask("prune_images") == {"removed_count": 0, "space_reclaimed": 0}
