"""Acts about one container: it is made, operated, and removed."""

from __future__ import annotations

from agent.console.acts.hands import Failed, Hands
from agent.console.bystander import BystanderFailed

STOP_S = 5


async def make(hands: Hands) -> None:
    watch, bystander = hands.watch, hands.bystander
    for source in await bystander.sources():
        watch.say("demo", f"makes a container from {source.text}")
        try:
            await bystander.make(source)
            break
        except BystanderFailed as failed:
            watch.say("demo", f"cannot: {failed}", tone="bad")
    else:
        raise Failed(
            "there is no image to make a container from: install a static busybox "
            "(apt-get install busybox-static), or run `docker pull busybox`"
        )
    watch.attend_to(bystander.container_id, bystander.name)
    watch.say("engine", f"has a new container, {bystander.name}")
    await hands.pause(1.0)


async def operate(hands: Hands) -> None:
    await hands.ask("start")
    await hands.pause(0.8)
    await hands.ask("stop", timeout=STOP_S)
    await hands.pause(0.8)
    await hands.ask("restart")
    await hands.pause(0.8)


async def remove(hands: Hands) -> None:
    new_name = f"{hands.bystander.name}-renamed"
    await hands.ask("rename", new_name=new_name)
    hands.watch.attend_to(hands.container_id, new_name)
    await hands.pause(0.8)
    there = len(hands.watch.heard_of_ours)
    await hands.ask("remove", force=True)
    await hands.all_arrived(there + len(("die", "destroy")))
    await hands.pause(0.8)
