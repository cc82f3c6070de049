"""The launcher as a process: what it was called with, and as whom it runs."""

from __future__ import annotations

import os
import sys

from agent.launcher import privileges
from agent.launcher.child import command_line
from agent.launcher.chooser import Chooser
from agent.launcher.ending import CONFIG
from agent.launcher.installation import Installation, found_from
from agent.launcher.keeper import Keeper
from agent.launcher.notify import Notifier
from agent.launcher.say import Voice
from agent.launcher.signals import Signals
from agent.launcher.volume import Volume
from agent.launcher.watch import DEFAULT, Limits

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

WAIT_S = 1.0
SAID_EVERY = 60
"""Of the waits for another launcher, how many pass between two lines about it."""


def main(main_file: str, limits: Limits = DEFAULT, *, drops_root: bool = True) -> NoReturn:
    """Does what the command line says, and exits.

    Args:
        main_file: The launcher's own `__main__.py`, from which all else is found.
        drops_root: Whether root in a container becomes somebody else; tests also run in containers as root.
    """
    words, environ = sys.argv[1:], os.environ
    places = found_from(main_file, environ)
    if words in (["health"], ["--health"]):
        from agent.launcher.health import health

        sys.exit(health())
    is_root = drops_root and privileges.is_root_in_container()
    if words not in ([], ["run"]):
        _execute(places, environ, words, is_root=is_root)
    sys.exit(_run(places, environ, limits, is_root=is_root))


def _run(places: Installation, environ: Mapping[str, str], limits: Limits, *, is_root: bool) -> int:
    voice, signals, notifier = Voice(environ), Signals(), Notifier(environ)
    if is_root:
        try:
            privileges.demand_capabilities(places.engine_socket)
        except privileges.MissingCapabilities as error:
            print(f"dockmon-agent: {error}", file=sys.stderr)
            return CONFIG
        for note in privileges.repair(places.data):
            voice.warn(note)
        privileges.drop(places.engine_socket)
    volume = Volume.opened(
        places.update, voice, _Turn(places.update, voice, signals, notifier).wait
    )
    if volume is None:
        return 0

    def keep(volume: Volume) -> int:
        keeper = Keeper(
            places, environ, volume, voice=voice, signals=signals, notifier=notifier, limits=limits
        )
        return keeper.run()

    if places.ignore_slots:
        volume = Volume(voice, None, "AGENT_IGNORE_SLOTS is set: the image's own release runs")
    try:
        return keep(volume)
    # A defect of the launcher must not take the host off the air: what came with the image runs, without updates.
    except Exception as error:
        why = f"the launcher failed: {type(error).__name__}: {error}"
        voice.warn(f"{why}; the image's own release runs, without updates")
        return keep(Volume(voice, None, why))


class _Turn:
    """Waiting for another launcher to be gone from the volume."""

    def __init__(self, path: str, voice: Voice, signals: Signals, notifier: Notifier) -> None:
        self._text = (
            f"another agent uses {path}, and this one waits for its end: "
            "stop it, or give each a data directory of its own"
        )
        self._voice, self._signals, self._notifier = voice, signals, notifier
        self._waits = 0

    def wait(self) -> bool:
        if self._waits % SAID_EVERY == 0:
            self._voice.warn(self._text)
            self._notifier.ready()
            self._notifier.status(self._text)
        self._waits += 1
        self._notifier.alive()
        self._signals.wait(WAIT_S)
        return not self._signals.is_stopping


def _execute(
    places: Installation, environ: Mapping[str, str], words: list[str], *, is_root: bool
) -> NoReturn:
    """Becomes the release that would run, with these words, unsupervised; writes nothing."""
    if is_root:
        try:
            privileges.demand_capabilities(places.engine_socket)
            privileges.drop(places.engine_socket)
        except privileges.MissingCapabilities:
            pass  # whoever enters a container as root without them wants to be that
    voice = Voice(environ)
    volume = Volume(voice, None) if places.ignore_slots else Volume.peeked(places.update, voice)
    chooser = Chooser(places, volume)
    decision = chooser.decide()
    line = command_line(chooser.directory(decision.slot), words)
    os.execv(line[0], line)
