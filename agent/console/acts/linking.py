"""Acts about the link: it is made, cut and closed."""

from __future__ import annotations

from agent.console.acts.hands import ARRIVE_S, Hands
from agent.core.machine import StopRequested

CONNECT_S = 20.0
STOP_S = 6.0


async def connect(hands: Hands) -> None:
    await hands.until(hands.is_at_work, CONNECT_S, "the agent did not get to work")
    await hands.pause(1.5)


async def cut(hands: Hands) -> None:
    watch, bystander = hands.watch, hands.bystander
    hands.fault(hands.hub.faults.cut)
    await hands.hub.stop_listening()
    watch.server_is_there = False
    watch.say("server", "is gone: the link is cut, nobody listens", tone="bad")
    there = len(watch.heard_of_ours)
    others_do = (
        ("stops", bystander.stop),
        ("starts", bystander.start),
        ("stops", bystander.stop),
        ("starts", bystander.start),
    )
    for does, call in others_do:
        await hands.pause(0.8)
        await call()
        watch.say("engine", f"{does} {bystander.name}, asked by somebody else")
    await hands.pause(1.0)
    await hands.until(
        lambda: not hands.is_at_work(), CONNECT_S, "the agent did not notice that the link was cut"
    )
    await hands.hub.start_listening()
    watch.server_is_there = True
    watch.say("server", "is back, and waits for the agent", tone="good")
    await hands.until(hands.is_at_work, CONNECT_S, "the agent did not come back")
    if await hands.all_arrived(there + len(others_do)):
        watch.say("demo", "what happened meanwhile has arrived, in order", tone="good")
    await hands.pause(2.0)


async def stop(hands: Hands) -> None:
    hands.fault(hands.hub.faults.silent)  # no more polls: each request is to have its reply
    await hands.until(
        lambda: not hands.watch.unanswered, ARRIVE_S, "not every request was answered"
    )
    hands.agent.runtime.post(StopRequested("the demo is over"))
    await hands.until(hands.has_stopped, STOP_S, "the agent did not stop")
    await hands.pause(1.0)
