"""Who cannot outlive a container, and how it follows that one's successor."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from agent.core.dependents import Moved, depends, redirected

Json = dict[str, Any]

ID = "9ab3c1d2e4f5" + "0" * 52
SHORT = ID[:12]
NEW_ID = "7" * 64
MOVED = Moved(ID, "web", "web-aside", NEW_ID)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({"NetworkMode": "container:web"}, True),
        ({"NetworkMode": "container:/web"}, True),
        ({"NetworkMode": f"container:{ID}"}, True),
        ({"NetworkMode": f"container:{SHORT}"}, True),
        ({"PidMode": f"container:{ID}"}, True),
        ({"IpcMode": "container:web"}, True),
        ({"Links": ["/db:/app/db", "/web:/app/www"]}, True),
        ({"NetworkMode": "container:web2"}, False),
        ({"NetworkMode": "container:9ab3"}, False),
        ({"NetworkMode": "container:"}, False),
        ({"NetworkMode": "web", "PidMode": "host", "IpcMode": "shareable"}, False),
        ({"Links": ["/db:/app/web"]}, False),
        ({"VolumesFrom": ["web"]}, False),
        ({"Links": None}, False),
        ({}, False),
    ],
)
def test_who_depends_on_it(host: Json, expected: bool) -> None:
    """Those that could not be started without it; volumes outlive it."""
    assert depends({"HostConfig": host}, on_id=ID, on_name="web") is expected


def test_a_dependent_follows() -> None:
    """Each of its references to the old container points at the new one, and nothing else changes."""
    host = {
        "NetworkMode": f"container:{ID}",
        "PidMode": "container:web",
        "IpcMode": "container:other",
        "VolumesFrom": [SHORT, "web:ro", "other:rw"],
        "Links": ["/web-aside:/app/www", "/db:/app/db"],
        "Privileged": False,
    }
    config: Json = {"Image": "vpn:1", "HostConfig": host}
    before = deepcopy(config)
    assert redirected(config, MOVED) == {
        "Image": "vpn:1",
        "HostConfig": {
            "NetworkMode": f"container:{NEW_ID}",
            "PidMode": f"container:{NEW_ID}",
            "IpcMode": "container:other",
            "VolumesFrom": [NEW_ID, f"{NEW_ID}:ro", "other:rw"],
            "Links": ["/web:/app/www", "/db:/app/db"],
            "Privileged": False,
        },
    }
    assert config == before


@pytest.mark.parametrize("host", [{"NetworkMode": "web"}, {"Links": None}])
def test_one_that_has_nothing_to_follow(host: Json) -> None:
    """It is asked for as it was."""
    config: Json = {"Image": "vpn:1", "HostConfig": host}
    assert redirected(config, MOVED) == config
