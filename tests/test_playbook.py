"""A playbook that notices nothing proves nothing."""

from __future__ import annotations

import pytest
from core.machines import engine_watch
from playbook import Play

from agent.core.engine_watch import EngineAnswered, EngineSilent
from agent.core.machine import CancelActivity, StartActivity

BEGUN = StartActivity("probe", 1, 60.0, 0.0)


def play() -> Play:
    return Play(engine_watch()).begin()


def test_a_dialogue_that_is_told_to_the_end_holds() -> None:
    """All effects in order, and no more: the script is true."""
    assert play() << BEGUN


def test_leftovers_are_noticed() -> None:
    """An effect nobody told of fails the script at its end, and before the next event."""
    with pytest.raises(AssertionError, match="not told: StartActivity"):
        bool(play())
    with pytest.raises(AssertionError, match="not told: StartActivity"):
        play() >> EngineSilent("away")


def test_a_wrong_effect_is_noticed() -> None:
    """The script names what it expected and what came out instead."""
    with pytest.raises(AssertionError, match=r"CancelActivity.* expected, but StartActivity"):
        play() << CancelActivity(1)


def test_a_missing_effect_is_noticed() -> None:
    """So does one that expects more than there is."""
    with pytest.raises(AssertionError, match="nothing more came out"):
        play() << BEGUN << BEGUN


def test_a_refusal_that_does_not_happen_is_noticed() -> None:
    """To say that an event is refused is a claim like any other."""
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        (play() << BEGUN).refuses(EngineAnswered("ENGN:AAAA", "27.3.1"))
