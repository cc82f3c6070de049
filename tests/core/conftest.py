"""Properties are checked with the same examples in every run: what fails is the change, not the day."""

from __future__ import annotations

from hypothesis import settings

# No deadline: how long an example takes says how busy the machine is.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
