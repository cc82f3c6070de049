"""Telling what a container's operator asked for from what its image brought along."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.operator_config import operator_config

Json = dict[str, Any]

CHECK: Json = {"Test": ["CMD", "ok"], "Interval": 30, "Retries": 3}


def own(config: Json, image: Json, *published: str) -> Json:
    """Without those that come out empty."""
    left = operator_config(config, image, published=published)
    return {key: value for key, value in left.items() if value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("User", "1000"),
        ("WorkingDir", "/app"),
        ("StopSignal", "SIGINT"),
        ("Env", ["PATH=/bin", "LANG=C"]),
        ("Labels", {"maintainer": "us"}),
        ("Volumes", {"/data": {}}),
        ("ExposedPorts", {"80/tcp": {}}),
        ("Healthcheck", CHECK),
        ("Cmd", ["serve"]),
        ("Entrypoint", ["/init"]),
    ],
)
def test_what_the_image_brought(key: str, value: Any) -> None:
    """It is left to the next image, if it is the same; without an image to compare with it is the operator's."""
    assert own({key: value}, {key: value}) == {}
    assert own({key: value}, {}) == {key: value}


@pytest.mark.parametrize(
    ("key", "theirs", "images", "left"),
    [
        ("User", "0", "1000", "0"),
        ("Env", ["A=1", "B=2", "C=3"], ["A=1", "B=0", "C=3"], ["B=2"]),
        ("Env", ["A=", "B"], ["A"], ["A=", "B"]),
        ("Labels", {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "0"}, {"b": "2", "c": "3"}),
        ("Volumes", {"/a": {}, "/b": {}}, {"/a": {}}, {"/b": {}}),
        ("ExposedPorts", {"80/tcp": {}, "81/tcp": {}}, {"80/tcp": {}}, {"81/tcp": {}}),
        ("Healthcheck", CHECK | {"Interval": 5}, CHECK, {"Interval": 5}),
        ("Healthcheck", {"Test": ["NONE"]}, CHECK, {"Test": ["NONE"]}),
        ("Healthcheck", CHECK, None, CHECK),
    ],
)
def test_what_the_operator_set(key: str, theirs: Any, images: Any, left: Any) -> None:
    """It stays, down to the single entry."""
    assert own({key: theirs}, {key: images}) == {key: left}


def test_a_published_port_stays_exposed() -> None:
    """The next image may not expose it, and the engine publishes no other ports."""
    exposed: Json = {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}}}
    assert own(exposed, exposed, "80/tcp") == {"ExposedPorts": {"80/tcp": {}}}


def test_what_no_image_brings() -> None:
    """The engine takes it from nobody but the operator, so it stays even if a committed image has the same."""
    theirs: Json = {"Hostname": "web", "Tty": True, "StopTimeout": 5, "NewOne": {"a": 1}}
    assert own(theirs, dict(theirs)) == theirs


INIT, SERVE, OTHER = ["/init"], ["serve"], ["other"]


@pytest.mark.parametrize(
    ("theirs", "images", "left"),
    [
        # Nothing was set.
        ((INIT, SERVE), (INIT, SERVE), {}),
        ((None, SERVE), (None, SERVE), {}),
        ((INIT, None), (INIT, None), {}),
        # A command was.
        ((INIT, OTHER), (INIT, SERVE), {"Cmd": OTHER}),
        ((None, OTHER), (None, SERVE), {"Cmd": OTHER}),
        ((INIT, OTHER), (INIT, None), {"Cmd": OTHER}),
        ((None, OTHER), (None, None), {"Cmd": OTHER}),
        # An entrypoint was: the image's command plays no part any more.
        ((OTHER, None), (INIT, SERVE), {"Entrypoint": OTHER}),
        ((OTHER, SERVE), (INIT, SERVE), {"Entrypoint": OTHER, "Cmd": SERVE}),
        ((OTHER, SERVE), (None, SERVE), {"Entrypoint": OTHER, "Cmd": SERVE}),
        # The image's own entrypoint was, which shows in the command that is missing.
        ((INIT, None), (INIT, SERVE), {"Entrypoint": INIT}),
        # The entrypoint was taken away.
        ((None, OTHER), (INIT, SERVE), {"Entrypoint": [""], "Cmd": OTHER}),
        ((None, SERVE), (INIT, SERVE), {"Entrypoint": [""], "Cmd": SERVE}),
        (([], SERVE), (INIT, None), {"Entrypoint": [""], "Cmd": SERVE}),
    ],
)
def test_commands(theirs: tuple[Any, Any], images: tuple[Any, Any], left: Json) -> None:
    """Entrypoint and Cmd, as `docker run` was given them."""
    keys = ("Entrypoint", "Cmd")
    assert own(dict(zip(keys, theirs, strict=True)), dict(zip(keys, images, strict=True))) == left


def inherited(asked: Json, image: Json) -> Json:
    """What the engine makes of what is asked for and an image, by its documented rules."""
    made = dict(asked)
    for key in ("User", "WorkingDir"):
        made[key] = asked.get(key) or image.get(key)
    for key in ("Labels", "ExposedPorts"):
        made[key] = {**(image.get(key) or {}), **(asked.get(key) or {})}
    names = {entry.partition("=")[0] for entry in asked.get("Env") or ()}
    from_image = [e for e in image.get("Env") or () if e.partition("=")[0] not in names]
    made["Env"] = sorted([*(asked.get("Env") or ()), *from_image])
    if not asked.get("Entrypoint"):
        made["Entrypoint"] = image.get("Entrypoint")
        made["Cmd"] = asked.get("Cmd") or image.get("Cmd")
    elif asked["Entrypoint"] == [""]:
        made["Entrypoint"] = None
    return {key: value for key, value in made.items() if value}


WORDS = st.sampled_from(["a", "b", "c"])
COMMANDS = st.one_of(st.none(), st.lists(WORDS, min_size=1, max_size=2))
CONFIGS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {
        "User": st.sampled_from(["", "0", "1000"]),
        "WorkingDir": st.sampled_from(["", "/a", "/b"]),
        "Labels": st.one_of(st.none(), st.dictionaries(WORDS, WORDS)),
        "ExposedPorts": st.one_of(st.none(), st.dictionaries(WORDS, st.just({}))),
        "Env": st.dictionaries(WORDS, WORDS).map(lambda env: [f"{k}={v}" for k, v in env.items()]),
        "Entrypoint": COMMANDS,
        "Cmd": COMMANDS,
    }
)


@given(CONFIGS, CONFIGS)
def test_nothing_changes_as_long_as_the_image_does_not(asked: Json, image: Json) -> None:
    """Whatever was asked for: with the same image the container comes out the same."""
    first = inherited(asked, image)
    again = inherited(operator_config(first, image, published=()), image)
    assert again == first
