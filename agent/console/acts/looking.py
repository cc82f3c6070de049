"""An act about looking into a container: its shell, and what it uses meanwhile."""

from __future__ import annotations

import asyncio

from agent.console.acts.hands import Failed, Hands
from agent.console.demo_narration import usage
from agent.hub.shapes import Sample
from agent.hub.shells import Shell

FIGURES_S = 40.0
SHELL_S = 15.0
END_S = 10.0
LOOK_EVERY_S = 0.1

ASKED, ANSWERED = 'echo "$(uname -s) is here"', "Linux is here"
COMPUTES = "while :; do :; done"
"""For ever, but it ends with its shell."""

BUSY_PERCENT = 2.0
"""More than a container at rest uses, and less than one at work gets on a busy host."""


async def look_inside(hands: Hands) -> None:
    processes = await hands.bystander.processes()
    hands.watch.say("server", f"opens a shell in {hands.bystander.name} and types: {ASKED}")
    try:
        shell = await hands.hub.open_shell(hands.host.id, hands.container_id)
        try:
            await _work(hands, shell)
        finally:
            await shell.close()
    except LookupError as gone:
        raise Failed(f"the shell broke off: {gone}") from None
    hands.watch.say("server", "closes the shell")
    await _leaves_nothing(hands, processes)
    await hands.pause(0.5)


async def _work(hands: Hands, shell: Shell) -> None:
    watch = hands.watch
    try:
        await shell.send(f"{ASKED}\n")
        await shell.shows(ANSWERED, SHELL_S)
    except TimeoutError as error:
        raise Failed(f"the shell did not answer: {shell.error or error}") from None
    watch.say("agent", f"brings what the shell says: {ANSWERED}", tone="good")
    watch.say("server", f"types: {COMPUTES}")
    await shell.send(f"{COMPUTES}\n")
    busy = usage(await _busy(hands))
    watch.say("server", f"sees {hands.bystander.name} at work: {busy}", tone="good")
    await hands.pause(1.0)


async def _leaves_nothing(hands: Hands, processes: int) -> None:
    bystander = hands.bystander
    try:
        async with asyncio.timeout(END_S):
            while await bystander.processes() > processes:
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise Failed("what the shell was doing goes on without it") from None
    hands.watch.say("engine", f"has as many processes in {bystander.name} as before", tone="good")


async def _busy(hands: Hands) -> Sample:
    """The first figures that show the container at work."""

    def newest() -> Sample | None:
        latest = hands.hub.metrics.container(hands.host.id, hands.container_id)
        return latest.sample if latest and latest.sample.cpu_percent > BUSY_PERCENT else None

    await hands.until(
        lambda: newest() is not None, FIGURES_S, "no figures came that show the container at work"
    )
    sample = newest()
    assert sample is not None
    return sample
