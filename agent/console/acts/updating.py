"""Acts about updates of the container, to images that the demo itself offers on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.console.acts.hands import Failed, Hands, Skipped
from agent.hub.replies import RequestFailed

UPDATE_S = 40.0
STOP_S = 5
HEALTH_S = 4
"""How long a new container may take to become healthy."""

SECOND_NS = 10**9


def _health_check(*command: str) -> dict[str, Any]:
    return {"Test": ["CMD", *command], "Interval": SECOND_NS, "Retries": 1}


async def roll_back(hands: Hands) -> None:
    """To an image whose health check always fails."""
    watch, bystander = hands.watch, hands.bystander
    image = await bystander.publish("bad", Healthcheck=_health_check("false"))
    watch.say("demo", f"offers the image {image}, which never becomes healthy")
    before = await bystander.look()
    try:
        await hands.hub.request(hands.host.id, "update_container", _payload(hands, image))
    except RequestFailed as refused:
        raise _impossible(hands, refused.text) from None
    await hands.until(lambda: _has_failed(hands), UPDATE_S, "the update did not fail")
    after = await bystander.look()
    if after != before:
        raise Failed(f"the old container was not put back: {after} is not {before}")
    watch.say("engine", f"has the very container again that it had: {after}", tone="good")
    await hands.all_arrived()
    await hands.pause(1.0)


async def update(hands: Hands) -> None:
    """To an image that is fine."""
    watch, bystander = hands.watch, hands.bystander
    image = await bystander.publish("good", Healthcheck=_health_check("true"))
    watch.say("demo", f"offers the image {image}, which becomes healthy")
    new_id = await _updated(hands, image)
    after = await bystander.look()
    if (after.id, after.image, after.status) != (new_id, image, "running"):
        raise Failed(f"the container was not updated: it is {after}")
    await bystander.follow()
    watch.attend_to(new_id, bystander.name)
    watch.say("engine", f"has a new container of that name: {after}", tone="good")
    await hands.all_arrived()
    await hands.pause(1.0)


async def _updated(hands: Hands, image: str) -> str:
    """The new container's short ID."""
    try:
        async with asyncio.timeout(UPDATE_S):
            result = await hands.hub.update_container(
                hands.host.id,
                hands.container_id,
                image,
                stop_timeout=STOP_S,
                health_timeout=HEALTH_S,
            )
    except TimeoutError:
        raise Failed(f"the update was not complete within {UPDATE_S:g} s") from None
    if result.error is not None:
        raise _impossible(hands, result.error)
    return result.container_id


def _payload(hands: Hands, image: str) -> dict[str, Any]:
    return {
        "container_id": hands.container_id,
        "new_image": image,
        "stop_timeout": STOP_S,
        "health_timeout": HEALTH_S,
    }


def _has_failed(hands: Hands) -> bool:
    return any(
        entry.kind == "error" and entry.container_id == hands.container_id
        for entry in hands.hub.log(hands.host.id)
    )


def _impossible(hands: Hands, why: str) -> Exception:
    if hands.bystander.publication_was_seen:
        return Failed(f"the update was refused: {why}")
    return Skipped(f"this engine cannot pull from this process: {why}")
