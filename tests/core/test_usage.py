"""Who uses what, from the engine's own list."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.usage import Usage, created_text, usage

WEB = {
    "Id": "a" * 64,
    "Names": ["/web"],
    "ImageID": "sha256:1",
    "State": "running",
    "Mounts": [
        {"Type": "volume", "Name": "data"},
        {"Type": "volume", "Name": "data"},
        {"Type": "bind", "Source": "/srv"},
    ],
    "NetworkSettings": {"Networks": {"front": {"NetworkID": "n1"}, "back": {"NetworkID": "n2"}}},
}
JOB = {**WEB, "Id": "b" * 64, "Names": ["/job"], "State": "exited"}

SHOWN_WEB, SHOWN_JOB = {"id": "a" * 12, "name": "web"}, {"id": "b" * 12, "name": "job"}


def test_who_uses_what() -> None:
    """A container that has stopped still needs its image and volumes, and holds no network."""
    assert usage([WEB, JOB]) == Usage(
        images={"sha256:1": [SHOWN_WEB, SHOWN_JOB]},
        networks={"n1": [SHOWN_WEB], "n2": [SHOWN_WEB]},
        volumes={"data": [SHOWN_WEB, SHOWN_JOB]},
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"Names": None, "Mounts": None, "NetworkSettings": None, "ImageID": None},
        {"Names": [], "Mounts": [None, 7], "NetworkSettings": {"Networks": None}},
        {"Names": [None], "Mounts": {}, "NetworkSettings": {"Networks": {"x": None}}},
    ],
)
def test_odd_entries(odd: dict[str, Any]) -> None:
    """A container without a name goes by its ID; what is null or of another kind is passed over."""
    found = usage([{"Id": "a" * 64, "State": "running", **odd}])
    assert found.images == {"": [{"id": "a" * 12, "name": "a" * 12}]}
    assert found.volumes == {}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (1893456000, "2030-01-01T00:00:00Z"),
        ("2031-05-04T05:02:01.123456789+02:00", "2031-05-04T03:02:01Z"),
        ("2031-05-04T03:02:01Z", "2031-05-04T03:02:01Z"),
        (0, ""),
        (-1, ""),
        (10**30, ""),
        (True, ""),
        (None, ""),
        ("yesterday", ""),
        ("0001-01-01T00:00:00Z", ""),
    ],
)
def test_instants(given: object, shown: str) -> None:
    """Seconds or text, always UTC with a final Z; what is no instant is empty."""
    assert created_text(given) == shown
