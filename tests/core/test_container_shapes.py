"""A container as the server wants it listed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from agent.core.container_shapes import (
    Extras,
    ListTooLarge,
    entry,
    extras,
    repo_digests,
    size_bytes,
    without_largest_env,
)

Json = dict[str, Any]

LISTED: Json = {
    "Id": "3b" * 32,
    "Names": ["/paper-web-1"],
    "Image": "registry.lan:5000/paper:2.4",
    "ImageID": "sha256:91",
    "State": "running",
    "HostConfig": {"NetworkMode": "paper_default"},
}
INSPECTED: Json = {
    "Name": "/paper-web-1",
    "Config": {"Image": "registry.lan:5000/paper:2.4", "Env": ["TZ=UTC", "URL=a=b", "BARE"]},
    "HostConfig": {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}},
    "State": {"StartedAt": "2031-05-04T00:00:01.5Z"},
}
MORE = extras(INSPECTED)


def test_a_whole_entry() -> None:
    """What the list has stays; what only an inspection has is added; nothing handed in is changed."""
    before = copy.deepcopy(LISTED)
    assert entry(LISTED, MORE, ("paper@sha256:77",)) == {
        **LISTED,
        "HostConfig": {
            "NetworkMode": "paper_default",
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        },
        "RepoDigests": ("paper@sha256:77",),
        "StartedAt": "2031-05-04T00:00:01.5Z",
        "Env": {"TZ": "UTC", "URL": "a=b", "BARE": ""},
    }
    assert before == LISTED


def test_without_details() -> None:
    """An entry is there even if nothing more could be found out."""
    assert entry(LISTED, None, None) == LISTED


@pytest.mark.parametrize(
    ("listed", "created_from", "shown"),
    [
        ("sha256:91", "paper:2.4", "paper:2.4"),
        ("", "paper:2.4", "paper:2.4"),
        (None, "paper:2.4", "paper:2.4"),
        ("sha256:91", "sha256:91", "sha256:91"),
        ("sha256:91", "", "sha256:91"),
        ("paper:2.4", "other:1", "paper:2.4"),
    ],
)
def test_an_image_whose_tag_moved_on(listed: str | None, created_from: str, shown: str) -> None:
    """The name that the container was made from is shown, for updates are looked up by it."""
    assert entry({**LISTED, "Image": listed}, Extras(image=created_from), None)["Image"] == shown


@pytest.mark.parametrize(
    ("listed", "shown"),
    [
        (["/web"], ["/web"]),
        (["/other/alias", "/web"], ["/web", "/other/alias"]),
        ([], ["/inspected"]),
        (None, ["/inspected"]),
        ([None], ["/inspected"]),
        ("web", ["/inspected"]),
    ],
)
def test_names(listed: Any, shown: list[str]) -> None:
    """The first is the container's own, not a link's; where there is none, the inspection knows it."""
    assert entry({**LISTED, "Names": listed}, Extras(name="/inspected"), None)["Names"] == shown


def test_no_name_at_all() -> None:
    """A container without a name is listed without one."""
    assert entry({**LISTED, "Names": None}, None, None)["Names"] == []


def test_never_started() -> None:
    """The year 1 is left out."""
    more = extras({**INSPECTED, "State": {"StartedAt": "0001-01-01T00:00:00Z"}})
    assert "StartedAt" not in entry(LISTED, more, None)


@pytest.mark.parametrize(
    "inspected",
    [
        {},
        {"Config": None, "HostConfig": None, "State": None, "Name": None},
        {"Config": {"Env": None, "Image": 7}, "HostConfig": {"RestartPolicy": None}, "State": []},
        {"Config": {"Env": [None, 7]}},
    ],
)
def test_nulls_and_odd_values(inspected: Json) -> None:
    """They count as not told."""
    assert extras(inspected) == Extras()


def test_a_list_entry_full_of_nulls() -> None:
    """Keys the engine leaves null are no obstacle."""
    listed = {"Id": "3b" * 32, "Names": None, "Image": None, "HostConfig": None, "Labels": None}
    shown = entry(listed, MORE, ())
    assert shown["HostConfig"] == {"RestartPolicy": MORE.restart_policy}
    assert shown["Labels"] is None


@pytest.mark.parametrize(
    ("inspected", "digests"),
    [({"RepoDigests": ["a@sha256:1"]}, ("a@sha256:1",)), ({"RepoDigests": None}, ()), ({}, ())],
)
def test_digests(inspected: Json, digests: tuple[str, ...]) -> None:
    """An image that was built here has none."""
    assert repo_digests(inspected) == digests


# --- Size


def sized(*env_bytes: int) -> list[Json]:
    return [{"Id": str(n), "Env": {"K": "x" * size}} for n, size in enumerate(env_bytes)]


def with_env(entries: list[Json]) -> list[str]:
    return [item["Id"] for item in entries if "Env" in item]


@pytest.mark.parametrize(
    ("excess_bytes", "left"),
    [(1, ["0", "2"]), (300, ["0", "2"]), (400, ["0"]), (600, []), (0, ["0", "1", "2"])],
)
def test_the_largest_environments_go_first(excess_bytes: int, left: list[str]) -> None:
    """As many as it takes; every container stays on the list."""
    entries = sized(100, 300, 200)
    shorter = without_largest_env(entries, excess_bytes)
    assert [item["Id"] for item in shorter] == ["0", "1", "2"]
    assert with_env(shorter) == left
    assert with_env(entries) == ["0", "1", "2"]
    assert size_bytes(entries) - size_bytes(shorter) >= excess_bytes


def test_nothing_left_to_leave_out() -> None:
    """An error, with the size that remains: no entry is ever lost."""
    with pytest.raises(ListTooLarge) as large:
        without_largest_env(sized(10, 10), 1000)
    assert large.value.size_bytes == size_bytes([{"Id": "0"}, {"Id": "1"}])


def test_the_size_is_that_of_the_wire() -> None:
    """UTF-8, without spaces."""
    assert size_bytes({"a": "ü", "b": 1}) == len('{"a":"ü","b":1}'.encode())
