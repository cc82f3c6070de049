"""Put in the place of agent/faults.py in an image under test: holds the process at a marked moment, once.

The file ARM says which: `name:3` is its third time since that was written. A process that gets there removes the
file, leaves HELD in its place, and waits to be killed.
"""

from __future__ import annotations

import signal
from pathlib import Path

ARM, HELD = Path("/faults/arm"), Path("/faults/held")

_seen: dict[str, int] = {}


def fault(name: str) -> None:
    """Holds the process if this is the moment."""
    try:
        armed = ARM.read_text()
    except OSError:
        return
    at, _, nth = armed.partition(":")
    if at != name:
        return
    _seen[armed] = _seen.get(armed, 0) + 1
    if _seen[armed] != int(nth or 1):
        return
    ARM.replace(HELD)
    while True:
        signal.pause()
