"""A deployment's progress, made of what Compose prints."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.compose.progress import EVERY_S, PERCENT, Progress

Line = dict[str, Any]


def progress() -> Progress:
    made = Progress("d-1", "paper")
    made.knows({"web": "nginx", "web-db": "postgres"}, {"the-db": "web-db"})
    return made


def container(name: str, verb: str) -> Line:
    return {"id": f"Container {name}", "status": verb}


def told(lines: list[Line]) -> list[tuple[str, str]]:
    """(stage, message) after each line that had something new, as if there were all the time in the world."""
    watched, at_s, found = progress(), 0.0, []
    for line in lines:
        at_s += 10.0
        watched.feed(line)
        if watched.due(at_s):
            payload = watched.payload(at_s)
            found.append((payload["stage"], payload["message"]))
    return found


def test_a_project_is_brought_up() -> None:
    """Each kind of object is a stage of its own."""
    assert told(
        [
            {"id": "Network paper_default", "status": "Creating"},
            {"id": "Network paper_default", "status": "Created"},
            {"id": "Volume paper_data", "status": "Creating"},
            {"level": "warning", "msg": "whatever"},
            container("paper-web-1", "Creating"),
            container("paper-web-1", "Created"),
            container("paper-web-1", "Starting"),
            container("paper-web-1", "Started"),
        ]
    ) == [
        ("creating_networks", "creating network paper_default"),
        ("creating_volumes", "creating volume paper_data"),
        ("creating", "container paper-web-1: creating"),
        ("creating", "container paper-web-1: created"),
        ("starting", "container paper-web-1: starting"),
        ("starting", "container paper-web-1: started"),
    ]


def test_layers() -> None:
    """Summed up over all layers that have told their size; a new one does not set the figure back."""
    layer = {"parent_id": "web", "text": "Downloading"}
    lines: list[Line] = [
        {"id": "web", "text": "Pulling"},
        {"id": "aa", "parent_id": "web", "text": "Pulling fs layer"},
        {**layer, "id": "aa", "current": 5_000_000, "total": 10_000_000},
        {**layer, "id": "bb", "current": 0, "total": 10_000_000},
        {"id": "aa", "parent_id": "web", "text": "Download complete", "percent": 100},
        {**layer, "id": "bb", "current": 10_000_000, "total": 10_000_000},
        {"id": "web", "text": "Pulled"},
    ]
    assert told(lines) == [
        ("pulling_image", "pulling the image of web"),
        ("pulling_image", "pulling: 50 % of 10.0 MB"),
        ("pulling_image", "pulling: 50 % of 20.0 MB"),
        ("pulling_image", "pulling: 100 % of 20.0 MB"),
    ]


def test_the_services() -> None:
    """Each by its containers' names, which the project may give itself; not before there are containers."""
    watched = progress()
    watched.feed({"id": "Network paper_default", "status": "Creating"})
    assert "services" not in watched.payload(0.0)
    watched.feed(container("paper-web-1", "Starting"))
    watched.feed(container("paper-web-1", "Started"))
    watched.feed(container("the-db", "Creating"))
    watched.feed(container("an-orphan", "Removing"))
    assert [(each["name"], each["status"]) for each in watched.payload(0.0)["services"]] == [
        ("web", "running"),
        ("web-db", "creating"),
    ]
    watched.sees({"web": "starting", "web-db": "running", "another": "running"})
    assert watched.payload(0.0)["services"] == [
        {"name": "web", "status": "running", "image": "nginx", "message": "web is starting"},
        {
            "name": "web-db",
            "status": "running",
            "image": "postgres",
            "message": "web-db is running",
        },
    ]


@pytest.mark.parametrize("later", ["exited", "restarting", "starting", "unhealthy"])
def test_what_has_run_counts(later: str) -> None:
    """The server's bar is drawn by those that run: one that did its work, or gets ill, must not set it back."""
    watched = progress()
    watched.feed(container("paper-web-1", "Started"))
    watched.enter("starting", "waiting")
    watched.sees({"web": later})
    (web, _) = watched.payload(0.0)["services"]
    assert (web["status"], web["message"]) == ("running", f"web is {later}")


def test_twice_a_second() -> None:
    """People read no faster; a new stage does not wait, and the same is not told twice."""
    watched = progress()
    assert not watched.due(0.0)
    watched.feed(container("paper-web-1", "Creating"))
    assert watched.due(0.0)
    watched.payload(0.0)
    assert not watched.due(100.0)
    watched.feed(container("paper-web-1", "Created"))
    assert not watched.due(EVERY_S / 2)
    assert watched.due(EVERY_S)
    watched.feed(container("paper-web-1", "Starting"))
    assert watched.due(EVERY_S / 2)


def test_a_step_that_would_set_the_bar_back() -> None:
    """Its message is shown under the stage that is."""
    watched = progress()
    watched.enter("executing", "stopping and removing")
    watched.feed({"id": "Network paper_default", "status": "Creating"})
    payload = watched.payload(0.0)
    assert (payload["stage"], payload["message"]) == (
        "executing",
        "creating network paper_default",
    )


JSON = st.none() | st.integers() | st.text() | st.floats(allow_nan=False)
VERBS = st.sampled_from(["Creating", "Starting", "Started", "Pulling", "Downloading", "Pulled"])
IDS = st.sampled_from(["Network n", "Volume v", "Container paper-web-1", "web", "Container", ""])
ODD = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS | JSON,
        "parent_id": IDS | JSON,
        "text": VERBS | JSON,
        "status": VERBS | JSON,
        "current": JSON,
        "total": JSON,
    },
)


@given(st.lists(ODD, max_size=20))
def test_whatever_a_newer_compose_prints(lines: list[Line]) -> None:
    """Nothing of it breaks a deployment, and the bar never goes back."""
    stages = [stage for stage, _ in told(lines)]
    assert [PERCENT[stage] for stage in stages] == sorted(PERCENT[stage] for stage in stages)
