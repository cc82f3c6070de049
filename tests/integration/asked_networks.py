"""What was asked of the networks of a container, as opposed to what the engine made of it."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def networks_of(inspected: Json) -> Json:
    """By name: a static address, aliases that the engine did not give by itself, links."""
    short_id = inspected["Id"][:12]
    return {
        name: _asked_for(endpoint, short_id)
        for name, endpoint in inspected["NetworkSettings"]["Networks"].items()
    }


def _asked_for(endpoint: Json, short_id: str) -> Json:
    return {
        "address": endpoint["IPAddress"] if endpoint["IPAMConfig"] else "",
        "aliases": [alias for alias in endpoint["Aliases"] or () if alias != short_id],
        "links": endpoint["Links"],
    }
