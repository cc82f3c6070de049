"""An act about Docker Compose: a project of one service goes up and down."""

from __future__ import annotations

from agent.console.acts.hands import Failed, Hands, Skipped
from agent.console.throwaway import IDLE
from agent.hub.deployments import Action, DeployRequest

DEPLOY_S = 40.0

CONTENT = """\
services:
  page:
    image: {image}
    pull_policy: never
    entrypoint: {entrypoint}
    network_mode: none
    stop_grace_period: 5s
    labels: ["{label}"]
"""


async def deploy(hands: Hands) -> None:
    await _carried_out(hands, "up")
    await hands.pause(1.0)
    await _carried_out(hands, "down")
    await hands.all_arrived()
    await hands.pause(0.5)


async def _carried_out(hands: Hands, action: Action) -> None:
    bystander = hands.bystander
    content = CONTENT.format(image=bystander.image, entrypoint=list(IDLE), label=bystander.label)
    request = DeployRequest(bystander.name, content, action, pull_images=False)
    deployment = await hands.hub.deploy(hands.host.id, request)
    if not hands.host.registration["capabilities"].get("compose_deployments"):
        raise Skipped(deployment.error)
    try:
        await deployment.done(DEPLOY_S)
    except TimeoutError:
        raise Failed(f"deploying {action} did not end within {DEPLOY_S:g} s") from None
    if deployment.error:
        raise Failed(f"deploying {action} failed: {deployment.error}")
