"""What the server makes of the result of each request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agent.hub.results import answer, read_logs

USERS = {"containers": [{"id": "9ab3c1d2e4f5", "name": "web"}], "container_count": 1}
IMAGE = {
    "id": "0123456789ab",
    "tags": ["nginx:1.29"],
    "size": 1,
    "in_use": True,
    "dangling": False,
    "created": "2031-05-04T03:02:01Z",
    **USERS,
}
NETWORK = {
    "id": "0123456789ab",
    "name": "web",
    "driver": "bridge",
    "scope": "local",
    "internal": False,
    "subnet": "",
    "is_builtin": False,
    "created": "2031-05-04T03:02:01Z",
    **USERS,
}
VOLUME = {
    "name": "data",
    "driver": "local",
    "mountpoint": "/x",
    "created": "",
    "in_use": True,
    **USERS,
}
FOUND = {
    "path": "/srv/a/compose.yml",
    "project_name": "a",
    "services": ["web"],
    "size": 10,
    "modified": "2031-05-04T03:02:01Z",
}


def read(name: str, result: Any) -> tuple[int, Any, list[str]]:
    """Status, body and complaints."""
    complaints: list[str] = []
    answered = answer(name, result, complaints.append)
    return answered.status, answered.body, complaints


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("list_containers", [{"Id": "9ab3c1d2e4f5"}]),
        ("list_images", [IMAGE, {**IMAGE, "created": "2030-01-01T00:00:00Z"}]),
        ("list_images", [{**IMAGE, "created": None}, IMAGE]),
        ("list_networks", [NETWORK, {**NETWORK, "name": "x"}]),
        ("list_volumes", [VOLUME, {**VOLUME, "name": "x", "created": IMAGE["created"]}]),
        ("list_volumes", []),
        ("create_network", NETWORK),
        ("delete_network", {"success": True, "message": "gone"}),
        ("remove_image", None),
        ("frobnicate", "anything"),
    ],
)
def test_what_passes_through(name: str, result: Any) -> None:
    """The body is the result, and nothing is odd about it."""
    assert read(name, result) == (200, result, [])


@pytest.mark.parametrize("result", [None, {}, False])
def test_nothing_is_an_empty_list(result: Any) -> None:
    """Images and networks tolerate it; volumes do not."""
    assert read("list_images", result) == (200, [], [])
    assert read("list_networks", result) == (200, [], [])
    status, body, complaints = read("list_volumes", result)
    assert (status, body, len(complaints)) == (500, None, 1)


@pytest.mark.parametrize(
    ("name", "result", "complaint"),
    [
        ("list_containers", {"containers": []}, "no list"),
        ("list_containers", [{"Id": "9ab3"}], "1 containers were skipped"),
        ("list_images", [{**IMAGE, "created": "2030-01-01T00:00:00Z"}, IMAGE], "newest first"),
        ("list_images", [{**IMAGE, "id": "sha256:0123"}], "entry 0: id"),
        ("list_images", [{**IMAGE, "tags": None}], "entry 0: tags"),
        ("list_images", [{**IMAGE, "size": 1.0}], "entry 0: size"),
        ("list_networks", [{**NETWORK, "name": "x"}, NETWORK], "not sorted by name"),
        ("list_networks", [{**NETWORK, "subnet": None}], "entry 0: subnet"),
        ("list_volumes", [{**VOLUME, "name": "x"}, VOLUME], "not sorted by name"),
        ("list_volumes", [{**VOLUME, "created": "2031-05-04T03:02:01+02:00"}], "created"),
        ("create_network", {"id": "0123456789ab"}, "entry 0: name"),
        ("inspect", {"success": True}, "without its `container`"),
    ],
)
def test_what_is_shown_all_the_same(name: str, result: Any, complaint: str) -> None:
    """The UI shows it as well as it can, and the hub complains."""
    status, _, complaints = read(name, result)
    assert status == 200
    assert [complaint in text for text in complaints] == [True]


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("list_images", {"images": []}),
        ("list_networks", "web"),
        ("prune_images", {"removed_count": "3"}),
        ("prune_volumes", {"space_reclaimed": 1.5}),
        ("prune_networks", {"networks_removed": None}),
        ("get_logs", {"logs": ["a"]}),
        ("scan_compose_dirs", {"compose_files": [{**FOUND, "services": None}]}),
        ("get_system_info", {"os_type": "linux"}),
        ("read_compose_file", {"content": "x"}),
    ],
)
def test_where_the_server_stumbles(name: str, result: Any) -> None:
    """It answers 500, and the hub says at what."""
    status, body, complaints = read(name, result)
    assert (status, body) == (500, None)
    assert [text.startswith("the server fails on it: ") for text in complaints] == [True]


@pytest.mark.parametrize(
    ("name", "result", "body"),
    [
        ("prune_images", {}, {"removed_count": 0, "space_reclaimed": 0}),
        (
            "prune_networks",
            {"removed_count": 1, "networks_removed": ["a"]},
            {"removed_count": 1, "networks_removed": ["a"]},
        ),
        (
            "prune_volumes",
            {"removed_count": 2, "x": 1},
            {"removed_count": 2, "space_reclaimed": 0, "volumes_removed": []},
        ),
    ],
)
def test_prune_counts(name: str, result: Any, body: Any) -> None:
    """What is missing is nothing."""
    assert read(name, result) == (200, body, [])


# Single containers


def test_log_lines() -> None:
    """Each has its instant, to the microsecond; blank ones are dropped; one without a stamp came now."""
    text = "2031-05-04T03:02:01.123456789Z one two\n\n2031-05-04T03:02:01Z three\n \nno stamp"
    complaints: list[str] = []
    lines = read_logs({"logs": text}, datetime(2032, 1, 1, tzinfo=UTC), complaints.append)
    assert [(line["timestamp"], line["log"]) for line in lines] == [
        ("2031-05-04T03:02:01.123456Z", "one two"),
        ("2031-05-04T03:02:01Z", "three"),
        ("2032-01-01T00:00:00.000000Z", "no stamp"),
    ]
    assert complaints == ["a log line has no time: 'no stamp'"]


@pytest.mark.parametrize("result", [{}, {"logs": None}, {"logs": ""}])
def test_no_logs(result: Any) -> None:
    """They may be missing."""
    assert read("get_logs", result) == (200, [], [])


def test_an_inspect() -> None:
    """The engine's object is what counts."""
    assert read("inspect", {"success": True, "container": {"Id": "x"}}) == (200, {"Id": "x"}, [])


# Compose files


def test_a_scan() -> None:
    """Each file as it is; none at all may be null."""
    scanned = {"success": True, "compose_files": [FOUND]}
    assert read("scan_compose_dirs", scanned) == (200, {"compose_files": [FOUND]}, [])
    assert read("scan_compose_dirs", {"compose_files": None}) == (200, {"compose_files": []}, [])


@pytest.mark.parametrize(
    ("modified", "shown"),
    [
        ("2031-05-04T03:02:01+02:00", "2031-05-04T03:02:01+02:00Z"),
        ("yesterday", "yesterdayZ"),
    ],
)
def test_a_scan_with_another_zone(modified: str, shown: str) -> None:
    """A `Z` is appended to anything that has none, which makes no instant of it."""
    scanned = {"compose_files": [{**FOUND, "modified": modified}]}
    status, body, complaints = read("scan_compose_dirs", scanned)
    assert (status, body["compose_files"][0]["modified"]) == (200, shown)
    assert complaints == [f"/srv/a/compose.yml was modified at no instant: {shown}"]


def test_a_failed_scan() -> None:
    """Its own `success` and `error` are not read: the UI shows that nothing was found."""
    scanned = {"success": False, "error": "permission denied"}
    assert read("scan_compose_dirs", scanned) == (
        *(200, {"compose_files": []}),
        ["a failed scan is shown as a success"],
    )


def test_a_compose_file() -> None:
    """Here `success` is read, and an error in it is the UI's to show."""
    status, body, complaints = read(
        "read_compose_file", {"success": False, "path": "/x", "error": "Path not allowed"}
    )
    assert (status, complaints) == (200, [])
    assert (body["success"], body["error"], body["env_files"]) == (False, "Path not allowed", {})
