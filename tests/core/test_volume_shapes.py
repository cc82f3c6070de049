"""Volumes as the server wants them."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.usage import Usage
from agent.core.volume_shapes import volume_list


def test_a_volume_in_use() -> None:
    """Every container that mounts it is named; its creation is in UTC."""
    web = {"id": "a" * 12, "name": "web"}
    data = {
        "Name": "data",
        "Driver": "local",
        "Mountpoint": "/var/lib/docker/volumes/data/_data",
        "CreatedAt": "2031-05-04T05:02:01+02:00",
    }
    assert volume_list([data], Usage(volumes={"data": [web]})) == [
        {
            "name": "data",
            "driver": "local",
            "mountpoint": "/var/lib/docker/volumes/data/_data",
            "created": "2031-05-04T03:02:01Z",
            "containers": [web],
            "container_count": 1,
            "in_use": True,
        }
    ]


@pytest.mark.parametrize("odd", [{}, {"Driver": None, "Mountpoint": None, "CreatedAt": None}])
def test_a_volume_that_says_little(odd: dict[str, Any]) -> None:
    """Some plugins tell the name and no more: the rest is empty, never null."""
    (shown,) = volume_list([{"Name": "data", **odd}], Usage())
    assert shown == {
        "name": "data",
        "driver": "",
        "mountpoint": "",
        "created": "",
        "containers": [],
        "container_count": 0,
        "in_use": False,
    }


def test_sorted_by_name() -> None:
    """What has no name is left out."""
    shown = volume_list([{"Name": "b"}, {}, {"Name": "a"}], Usage())
    assert [volume["name"] for volume in shown] == ["a", "b"]
