"""Who runs, told by listings and events that may cross each other."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.roster import Roster, Run
from agent.core.stats import Counters

WEB, DB = "a" * 64, "b" * 64


def event(action: str, container_id: str = WEB, name: str = "web", **told: str) -> dict[str, Any]:
    attributes = {"name": name, **told}
    return {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": container_id, "Attributes": attributes},
    }


def listed(container_id: str = WEB, name: str = "web", state: str = "running") -> dict[str, Any]:
    return {"Id": container_id, "Names": [f"/{name}"], "Image": "paper:2.4", "State": state}


def told(runs: list[Run]) -> list[tuple[str, str]]:
    return sorted((run.container_id, run.name) for run in runs)


def roster(*containers: dict[str, Any]) -> Roster:
    made = Roster()
    with made.listing():
        made.listed(containers)
    return made


def test_a_listing() -> None:
    """Those that run, by name without a slash; returned are those that do not."""
    made = Roster()
    with made.listing():
        idle = made.listed([listed(), listed(DB, "db", "exited")])
    assert told(made.runs()) == [(WEB, "web")]
    assert told(idle) == [(DB, "db")]


@pytest.mark.parametrize(
    ("state", "is_running"),
    [
        ("running", True),
        ("paused", True),
        ("restarting", False),
        ("created", False),
        ("exited", False),
        ("dead", False),
    ],
)
def test_states(state: str, is_running: bool) -> None:
    """A paused container still has its memory; one between two crashes has nothing."""
    assert len(roster(listed(state=state)).runs()) == is_running


def test_from_start_to_end() -> None:
    """`die` is the end, and says whose."""
    made = roster()
    assert made.notice(event("start")) is None
    [run] = made.runs()
    assert made.notice(event("die", exitCode="0")) is run
    assert made.runs() == []


@pytest.mark.parametrize(
    "action", ["kill", "stop", "pause", "unpause", "restart", "create", "oom", "health_status: x"]
)
def test_events_that_end_nothing(action: str) -> None:
    """A `kill` may have been any signal, and after a `stop` there is a `die`."""
    made = roster(listed())
    assert made.notice(event(action)) is None
    assert told(made.runs()) == [(WEB, "web")]


def test_the_end_of_one_that_did_not_run() -> None:
    """There is nothing to say of it."""
    made = roster()
    assert made.notice(event("die")) is None
    assert made.notice(event("destroy")) is None


def test_destroyed_without_an_end() -> None:
    """An event may be lost; what is gone does not run."""
    made = roster(listed())
    assert told([run for run in [made.notice(event("destroy"))] if run]) == [(WEB, "web")]
    assert made.runs() == []


def test_another_name() -> None:
    """The run goes on, and so does the way to measure it."""
    made = roster(listed())
    [run] = made.runs()
    run.before = Counters(cpu_ns=7)
    made.notice(event("rename", name="paper", oldName="/web"))
    assert made.has(run)
    assert (run.name, run.before) == ("paper", Counters(cpu_ns=7))


def test_another_name_of_one_that_does_not_run() -> None:
    """It is no reason to take it for running."""
    made = roster()
    made.notice(event("rename"))
    assert made.runs() == []


def test_a_restart() -> None:
    """Another run of the same container: what was measured of the first is not its own."""
    made = roster(listed())
    [first] = made.runs()
    made.notice(event("die"))
    made.notice(event("start"))
    [second] = made.runs()
    assert made.has(second)
    assert not made.has(first)


def test_a_listing_of_what_is_known() -> None:
    """The run goes on under the name it has now; one that is gone does not."""
    made = roster(listed(), listed(DB, "db"))
    [run, _] = made.runs()
    run.before = Counters(cpu_ns=7)
    with made.listing():
        assert made.listed([listed(name="paper")]) == []
    assert made.has(run)
    assert made.runs() == [run]
    assert (run.name, run.before) == ("paper", Counters(cpu_ns=7))


def test_events_while_the_engine_lists() -> None:
    """They are newer than its answer: one that ended is not brought back, one that began is not forgotten."""
    made = roster(listed())
    with made.listing():
        made.notice(event("die"))
        made.notice(event("start", DB, "db"))
        assert made.listed([listed(), listed(DB, "db", "exited")]) == []
    assert told(made.runs()) == [(DB, "db")]


@pytest.mark.parametrize("action", ["rename", "restart", "exec_start: true"])
def test_events_while_the_engine_lists_that_tell_nothing(action: str) -> None:
    """They do not say whether it runs, so its answer counts."""
    made = Roster()
    with made.listing():
        made.notice(event(action))
        made.listed([listed()])
    assert told(made.runs()) == [(WEB, "web")]


def test_events_before_the_engine_lists() -> None:
    """They are older than its answer."""
    made = Roster()
    made.notice(event("start"))
    with made.listing():
        made.listed([])
    assert made.runs() == []


def test_what_a_new_reader_tells_of_the_past() -> None:
    """Old events come again, in order: the last one of each container is what is true."""
    made = roster(listed())
    for action in ("die", "start", "die", "start"):
        made.notice(event(action))
    made.notice(event("start", DB, "db"))
    made.notice(event("die", DB, "db"))
    assert told(made.runs()) == [(WEB, "web")]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"Type": "image", "Action": "delete", "Actor": {"ID": WEB, "Attributes": {}}},
        {"Type": "container", "Action": "die"},
        {"Type": "container", "Action": "die", "Actor": {"ID": None, "Attributes": {}}},
        {"Type": "container", "Action": None, "Actor": {"ID": WEB, "Attributes": {}}},
        {"Type": "container", "Action": "die", "Actor": {"ID": WEB, "Attributes": None}},
    ],
)
def test_odd_events(odd: dict[str, Any]) -> None:
    """They change nothing."""
    made = roster(listed())
    assert made.notice(odd) is None
    assert told(made.runs()) == [(WEB, "web")]
