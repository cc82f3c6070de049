"""Times that several features share."""

from __future__ import annotations

ANSWER_S = 3.0
"""The engine has this much less time than the server waits."""

LIST_S = 30.0
"""How long the server waits for a list."""

PROBE_S = 10.0
"""For finding out whether something was done: one or two calls."""
