"""The chart model: what it refuses, and that ours are accepted."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import ValidationError

from agent.core.chart import Chart

LAMP = """
name = "lamp"
title = "A lamp"
initial = "off"
outside = ["switch_pressed", "unplugged"]

[resources.current]
doc = "Flows."
posts = ["fuse_blown"]

[activities.wait]
doc = "Wait for the evening."
posts = ["dusk_fell"]
until = "dusk_fell"

[activities.shine]
doc = "Be bright."
posts = ["dawn_broke"]
deadline_s = 60

[states.off]
doc = "Dark."
does = "wait"

[states.on]
doc = "Bright."
holds = ["current"]
does = "shine"
at = [1, 0]
via = { off = [0.5, 1] }

[states.broken]
doc = "Dark for good."
final = true
at = [2, 0]

[[transitions]]
on = "dusk_fell"
from = ["off"]
to = "on"

[[transitions]]
on = "dawn_broke"
from = ["on"]
to = "off"

[[transitions]]
on = "fuse_blown"
from = ["on"]
to = "off"

[[transitions]]
on = "deadline_passed"
from = ["on"]
to = "off"

[[transitions]]
on = "switch_pressed"
from = ["off"]
to = "on"
if = ["bulb_fits"]

[[transitions]]
on = "switch_pressed"
from = ["off", "on"]
does_not_move = true
then = ["flicker"]

[[transitions]]
on = "crashed"
from = ["off", "on"]
to = "broken"

[[transitions]]
on = "unplugged"
from = ["off", "on"]
to = "broken"
"""


def parsed(text: str) -> Chart:
    return Chart.model_validate(tomllib.loads(text))


def test_a_sound_chart_is_accepted() -> None:
    """The chart from which the faulty ones below are made has no fault itself."""
    lamp = parsed(LAMP)
    assert lamp.triggers >= {"dusk_fell", "crashed", "deadline_passed"}
    assert lamp.callbacks == {"bulb_fits", "flicker"}
    assert lamp.handled_in("on") == lamp.triggers - {"dusk_fell"}


@pytest.mark.parametrize("name", Chart.names())
def test_our_charts_are_sound(name: str) -> None:
    """Every chart that ships loads, under the name of its file."""
    assert Chart.load(name).name == name


def test_names_are_those_of_the_files() -> None:
    """The lifecycle is among the charts; what is not a chart is not."""
    assert "lifecycle" in Chart.names()
    assert all(name.isidentifier() and not name.startswith("__") for name in Chart.names())


FAULTS = [
    # Names
    ('initial = "off"', 'initial = "up"', "the initial state 'up' is not declared"),
    ('does = "shine"', 'does = "glow"', "on: no activity 'glow'"),
    ('holds = ["current"]', 'holds = ["voltage"]', "on: no resource 'voltage'"),
    ("via = { off", "via = { away", "on: no state 'away'"),
    ('from = ["on"]\nto = "off"', 'from = ["up"]\nto = "off"', "dawn_broke: no state 'up'"),
    ('from = ["on"]\nto = "off"', 'from = ["on"]\nto = "up"', "dawn_broke: no state 'up'"),
    ('does = "shine"', 'does = "wait"', "activity 'shine' belongs to no state"),
    ('holds = ["current"]', "holds = []", "resource 'current' is held by no state"),
    # Choices
    ('if = ["bulb_fits"]', "", "switch_pressed from 'off' can never happen, an earlier one"),
    (
        'from = ["off", "on"]\ndoes_not_move',
        'from = ["on"]\ndoes_not_move',
        "switch_pressed from 'off' is undecided when no guard holds",
    ),
    (
        'on = "fuse_blown"\nfrom = ["on"]',
        'on = "fuse_blown"\nfrom = ["on", "broken"]',
        "fuse_blown: 'broken' is final, nothing leaves it",
    ),
    # Ends
    ("final = true", 'final = true\ndoes = "wait"', "broken: a final state does and holds nothing"),
    (
        "final = true",
        'final = true\nholds = ["current"]',
        "broken: a final state does and holds nothing",
    ),
    ("final = true", "", "broken: does nothing, so nothing ends it"),
    ("final = true", 'does = "wait"', "broken: has no exit"),
    ('until = "dusk_fell"', "", "either 'deadline_s' or 'until'"),
    (
        'until = "dusk_fell"',
        'until = "dusk_fell"\ndeadline_s = 1',
        "either 'deadline_s' or 'until'",
    ),
    # Answers
    (
        'posts = ["dawn_broke"]',
        'posts = ["dawn_broke", "bulb_burst"]',
        "on: activity 'shine' may post 'bulb_burst', which is not handled there",
    ),
    (
        'posts = ["fuse_blown"]',
        'posts = ["fuse_blown", "dusk_fell"]',
        "on: resource 'current' may post 'dusk_fell', which is not handled there",
    ),
    (
        '"deadline_passed"\nfrom = ["on"]',
        '"dawn_broke"\nfrom = ["off"]',
        "on: activity 'shine' may post 'deadline_passed', which is not handled there",
    ),
    (
        'on = "crashed"\nfrom = ["off", "on"]',
        'on = "crashed"\nfrom = ["on"]',
        "off: whatever fails may post 'crashed', which is not handled there",
    ),
    ('until = "dusk_fell"', 'until = "noon"', "off: lasts until 'noon', which nobody posts there"),
    (
        'outside = ["switch_pressed", "unplugged"]',
        'outside = ["switch_pressed"]',
        "nobody posts 'unplugged'",
    ),
    ('"unplugged"]', '"unplugged", "painted"]', "nothing handles 'painted'"),
    # Forms
    ('title = "A lamp"', 'title = "A lamp"\ncolour = "red"', "colour\n  Extra inputs"),
    ("final = true", "final = true\ncolour = 1", "states.broken.colour\n  Extra inputs"),
    ('doc = "Flows."', 'doc = "Flows."\ncolour = 1', "resources.current.colour\n  Extra inputs"),
    ("deadline_s = 60", "deadline_s = 60\ncolour = 1", "activities.shine.colour\n  Extra inputs"),
    ('then = ["flicker"]', "colour = 1", "transitions.5.colour\n  Extra inputs"),
    ("deadline_s = 60", "deadline_s = 0", "greater than 0"),
    ('from = ["on"]', "from = []", "at least 1 item"),
    ("does_not_move = true", "", "switch_pressed: give either 'to' or 'does_not_move'"),
    (
        "does_not_move = true",
        'does_not_move = true\nto = "on"',
        "switch_pressed: give either 'to' or 'does_not_move'",
    ),
]


@pytest.mark.parametrize(("sound", "faulty", "complaint"), FAULTS)
def test_a_faulty_chart_is_refused(sound: str, faulty: str, complaint: str) -> None:
    """One change to the sound chart, and the error names what is wrong and where."""
    assert sound in LAMP
    with pytest.raises(ValidationError) as refused:
        parsed(LAMP.replace(sound, faulty, 1))
    assert complaint in str(refused.value)


ISLAND = """
[states.attic]
doc = "Nobody comes here."
does = "wait"

[[transitions]]
on = "dusk_fell"
from = ["attic"]
to = "off"

[[transitions]]
on = "crashed"
from = ["attic"]
to = "off"
"""

TRAP = """
[states.cellar]
doc = "Nobody leaves."
does = "wait"

[states.deeper]
doc = "Neither from here."
does = "wait"

[[transitions]]
on = "unplugged"
from = ["cellar", "deeper"]
to = "cellar"

[[transitions]]
on = "dusk_fell"
from = ["cellar"]
to = "deeper"

[[transitions]]
on = "dusk_fell"
from = ["deeper"]
to = "cellar"

[[transitions]]
on = "crashed"
from = ["cellar", "deeper"]
to = "cellar"
"""


def test_a_state_that_cannot_be_reached_is_refused() -> None:
    """A state nothing leads to would only be read, never run."""
    with pytest.raises(ValidationError, match="attic: cannot be reached"):
        parsed(LAMP + ISLAND)


def test_states_that_cannot_end_are_refused() -> None:
    """From each state there is a way to a final one; two that lead only to each other have none."""
    text = LAMP.replace(
        '"dawn_broke"\nfrom = ["on"]\nto = "off"', '"dawn_broke"\nfrom = ["on"]\nto = "cellar"'
    )
    with pytest.raises(ValidationError) as refused:
        parsed(text + TRAP)
    assert "cellar: no way leads from it to an end" in str(refused.value)
    assert "deeper: no way leads from it to an end" in str(refused.value)
    assert "off: no way" not in str(refused.value)


def test_a_chart_without_a_final_state_is_refused() -> None:
    """What cannot end cannot be stopped in good order."""
    text = LAMP.replace("final = true", 'does = "wait"') + (
        '[[transitions]]\non = "dusk_fell"\nfrom = ["broken"]\nto = "off"\n'
        '[[transitions]]\non = "crashed"\nfrom = ["broken"]\nto = "off"\n'
    )
    with pytest.raises(ValidationError, match="there is no final state"):
        parsed(text)


def test_all_faults_of_a_kind_are_named_at_once() -> None:
    """Somebody who writes a chart does not have to find them one by one."""
    text = LAMP.replace('"shine"\nat', '"glow"\nat').replace('["current"]', '["voltage"]')
    with pytest.raises(ValidationError) as refused:
        parsed(text)
    assert "no activity 'glow'" in str(refused.value)
    assert "no resource 'voltage'" in str(refused.value)
