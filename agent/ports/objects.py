"""A name for what comes undecoded."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""A JSON object as the Engine API or the server gave it; its shape is checked where it is used."""
