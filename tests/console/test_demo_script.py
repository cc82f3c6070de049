"""Steps are played in their order, as far as they can be."""

from __future__ import annotations

from typing import cast

import pytest

from agent.console.acts.hands import Act, Failed, Hands, Skipped
from agent.console.demo_script import Script, Step


class Played:
    """Stands for the hands and for the watch that notes what is played."""

    def __init__(self) -> None:
        self.told: list[object] = []

    @property
    def watch(self) -> Played:
        return self

    def begin(self, step: int) -> None:
        self.told.append(step)

    def say(self, who: str, text: str, *, tone: str) -> None:
        self.told.append(text)


def act(name: str, error: Exception | None = None) -> Act:
    async def play(hands: Hands) -> None:
        hands.watch.say("demo", name, tone="plain")
        if error is not None:
            raise error

    return play


async def test_what_is_impossible_here_is_told_and_passed_over() -> None:
    """The rest of its step is played, and the report has the reason."""
    played = Played()
    steps = [
        Step("Deploy: up and down", [act("up", Skipped("there is no Compose")), act("look")]),
        Step("Stop: in good order", [act("stop")]),
    ]
    script = Script(cast(Hands, played), steps)
    await script.play()
    assert played.told == [
        *(0, "up", "cannot show that here: there is no Compose", "look"),
        *(1, "stop"),
        2,
    ]
    assert script.skipped == ["Deploy: there is no Compose"]


async def test_what_goes_wrong_ends_it() -> None:
    """Nothing is played on top of it."""
    played = Played()
    steps = [Step("Start: it", [act("start", Failed("no engine")), act("look")])]
    with pytest.raises(Failed, match="no engine"):
        await Script(cast(Hands, played), steps).play()
    assert played.told == [0, "start"]
