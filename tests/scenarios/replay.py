"""One eventful hour, printed as JSON: run in a process of its own, under a hash seed of its own."""

from __future__ import annotations

import asyncio
import json
import sys

import conftest  # noqa: F401  everything of ours has to be imported before time is frozen
from frozen_loop import FrozenLoop
from scenarios.world import World


async def hour() -> list[object]:
    async with World() as world:
        boxes = [world.engine.add(f"box-{number}", running=True) for number in range(20)]
        world.start()
        host = await world.online()
        for minute in range(60):
            await world.engine.restart(boxes[minute % 20], timeout_s=10, deadline_s=30)
            if minute % 13 == 5:
                world.hub.faults.cut(host)
            if minute == 30:
                world.engine.down()
                for box in boxes[::3]:
                    world.engine.dies_unseen(box)
                await asyncio.sleep(45)
                world.engine.up()
            await asyncio.sleep(60)
        effects = [
            (event["container_name"], event["effect"]) for event in world.hub.events(host.id)
        ]
        return [world.timeline(), world.timeline("engine"), effects]


if __name__ == "__main__":
    loop = FrozenLoop()
    json.dump(loop.run_until_complete(hour()), sys.stdout)
    loop.close()
