"""Deeds of a release that is not good, and a launcher with little patience."""

from __future__ import annotations

from e2e.releases import Change, Sources

TRIAL_S = 8
"""Of a hasty launcher; the real one waits 90 s."""

NEVER_REGISTERS = "os.environ['DOCKMON_URL'] = 'ws://127.0.0.1:9'"

_BEGINNING = "import os, signal, sys\n\nif sys.argv[1:2] != ['self-check']:\n    "


def at_start(deed: str) -> Change:
    """A release that does this before anything else; its self-check is as good as any."""

    def change(release: Sources) -> None:
        release.prepend("start.py", _BEGINNING + deed + "\n\n")

    return change


def hurry(launcher: Sources) -> None:
    """A launcher whose trials are soon over."""
    told = "trial_s=trial.deadline_s if trial else None"
    launcher.replace("agent/launcher/keeper.py", told, f"trial_s={TRIAL_S} if trial else None")
