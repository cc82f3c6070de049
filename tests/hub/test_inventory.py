"""What counts in a container list."""

from __future__ import annotations

import pytest

from agent.hub.inventory import name_of, read_list


def test_odd_entries_are_skipped_one_by_one() -> None:
    """A short or missing ID, or an Env that is not all text: the entry counts as missing."""
    good = [
        {"Id": "9ab3c1d2e4f5"},
        {"Id": "a" * 64, "Env": {"TZ": "UTC"}},
        {"Id": "b" * 12, "Env": None},
    ]
    odd = [
        {"Id": "9ab3"},
        {"Names": ["/web"]},
        {"Id": None},
        {"Id": "c" * 12, "Env": {"PORT": 80}},
        {"Id": "c" * 12, "Env": ["TZ=UTC"]},
        "9ab3c1d2e4f5",
        None,
    ]
    assert read_list([*odd, *good]) == (good, len(odd))


@pytest.mark.parametrize("result", [None, {}, "x", {"containers": []}])
def test_no_list_is_an_empty_list(result: object) -> None:
    """The server takes anything else for a host without containers."""
    assert read_list(result) == ([], 0)


@pytest.mark.parametrize("names", [None, [], "web", [7]])
def test_a_container_without_a_name(names: object) -> None:
    """It is shown as unknown."""
    assert name_of({"Names": names}) == "unknown"
    assert name_of({"Names": ["/web", "/front/web"]}) == "web"
