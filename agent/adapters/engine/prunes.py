"""Removing what no container uses."""

from __future__ import annotations

import json

from agent.adapters.engine.wire import Call, Wire, version_parts
from agent.ports import Json

_ALL_VOLUMES_SINCE = (1, 42)
"""The API since which a prune spares volumes with a name unless it is told not to; before, it refuses to be told."""


def images(wire: Wire, call: Call) -> Json:
    """Tagged ones too, which a prune without this filter spares."""
    return wire.post(call, "/images/prune", _filters("dangling", "false"))


def networks(wire: Wire, call: Call) -> Json:
    return wire.post(call, "/networks/prune")


def volumes(wire: Wire, call: Call) -> Json:
    """Those with a name too."""
    spares_named = version_parts(wire.version(call)) >= _ALL_VOLUMES_SINCE
    params = _filters("all", "true") if spares_named else {}
    return wire.post(call, "/volumes/prune", params)


def _filters(name: str, value: str) -> dict[str, str]:
    return {"filters": json.dumps({name: [value]})}
