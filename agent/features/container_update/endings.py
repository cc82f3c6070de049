"""What is to be done when an update has ended: tell whoever has to know, and forget it unless there is more to do."""

from __future__ import annotations

import logging

from agent.core.container_update import Update, completion
from agent.features.container_update.attempt import Attempt
from agent.features.container_update.record import to_job
from agent.features.container_update.reporting import Reporter
from agent.ports import Services, StoreError

log = logging.getLogger("agent.container_update")


class Endings:
    def __init__(self, services: Services, reporter: Reporter) -> None:
        self._store, self._news, self._reporter = services.store, services.news, reporter

    async def conclude(self, outcome: str, update: Update, attempt: Attempt) -> None:
        """`outcome` is the name of the final state."""
        match outcome:
            case "completed":
                await self._complete(update, attempt)
            case "rolled_back":
                self._fail(update, attempt)
                await self.forget(update)
            case "failed":
                self._reporter.stage("failed", update, error=update.reason)
                self._fail(update, attempt)
                await self.forget(update)
            case "stranded":  # the record stays, for it is tried again
                self._reporter.stage("failed", update, error=update.trouble)
                self._fail(update, attempt)

    async def forget(self, update: Update) -> None:
        try:
            await self._store.end_job(update.command_id, [])
        except StoreError as error:
            log.error("the end of the update of %s is not written down: %s", update.name, error)

    def _fail(self, update: Update, attempt: Attempt) -> None:
        if attempt.acknowledged_at is not None:
            self._reporter.failed(update)
        attempt.decide(update.reason)

    async def _complete(self, update: Update, attempt: Attempt) -> None:
        if attempt.is_reported:
            await self.forget(update)
        else:
            await self._report(update, attempt)
        if update.has_leftovers:
            await self._keep(update)

    async def _report(self, update: Update, attempt: Attempt) -> None:
        self._reporter.stage("completed", update)
        if attempt.is_resumed:
            self._reporter.acknowledge(update)
        row = completion(update)
        try:
            await self._store.end_job(update.command_id, [row])
        except StoreError as error:
            log.error("that %s was updated is not written down: %s", update.name, error)
            self._reporter.completed(row.payload)
        self._news()

    async def _keep(self, update: Update) -> None:
        """What could not be removed is tried again later, and nothing else is."""
        try:
            await self._store.save_job(to_job("cleanup", update))
        except StoreError as error:
            log.error("%s has to be removed by hand: %s", update.backup_name, error)
