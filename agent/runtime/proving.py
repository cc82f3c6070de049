"""When a release has proved itself: the launcher is told, and the server how the update went."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.core.engine_watch import CaughtUp
from agent.core.launch import LastResult
from agent.core.lifecycle import Registered
from agent.core.update_results import told
from agent.ports import Batch, Detach, Launcher, Store, StoreError
from agent.runtime.runtime import Move

log = logging.getLogger("agent.self_update")


class Proving:
    """An observer of the runtime.

    Args:
        own: ID and name of the container we run in; both "" natively.
        clock_s: Monotonic seconds.
        news: To be called when something has been journalled.
    """

    def __init__(
        self,
        launcher: Launcher,
        store: Store,
        *,
        own: tuple[str, str],
        clock_s: Callable[[], float],
        detach: Detach,
        news: Callable[[], None],
    ) -> None:
        self._launcher, self._store, self._own = launcher, store, own
        self._detach, self._news = detach, news
        self._clock_s, self._began_s = clock_s, clock_s()
        self._is_registered = self._has_engine = self._is_proven = False
        self._result = launcher.launch.last_result

    def observe(self, move: Move) -> None:
        match move.event:
            case Registered():
                self._is_registered = True
            case CaughtUp():
                self._has_engine = True
            case _:
                return
        self._prove()
        if self._is_proven and self._result is not None:
            self._detach(self._report(self._result), "the result of the last update")

    def _prove(self) -> None:
        trial = self._launcher.launch.trial
        needs_engine = trial is not None and trial.needs_engine
        if self._is_proven or not self._is_registered or (needs_engine and not self._has_engine):
            return
        self._is_proven = True
        self._launcher.registered()
        if self._result is not None:
            self._result = self._result.proven_after(self._clock_s() - self._began_s)
        if trial is not None:
            version = self._launcher.launch.running.version
            log.info("release %s has registered and stays", version)
            self._result = LastResult(trial.command_id, trial.command, version, "updated")

    async def _report(self, result: LastResult) -> None:
        """Into the journal, which brings it to the server whatever happens. A second time it is the same row."""
        try:
            await self._store.journal(Batch(told(result, *self._own)))
        except StoreError as error:
            log.error("the result of the last update has to wait: %s", error)
            return
        self._result = None
        self._news()
        self._launcher.reported(result.command_id)
