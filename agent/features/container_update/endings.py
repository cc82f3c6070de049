"""What is to be done when an update has ended: tell whoever has to know, and forget it unless there is more to do."""

from __future__ import annotations

import logging

from agent.core.container_update import Update, completion
from agent.features.container_update.attempt import Attempt
from agent.features.container_update.record import to_job
from agent.features.container_update.reporting import Reporter
from agent.ports import Batch, Services, StoreError

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
        news = [] if attempt.is_reported else [completion(update)]
        if news:
            self._reporter.stage("completed", update)
            if attempt.is_resumed:
                self._reporter.acknowledge(update)
        try:
            if update.has_leftovers:  # their removal is tried again later, and nothing else is
                await self._store.journal(Batch(news))
                await self._store.save_job(to_job("cleanup", update))
            else:
                await self._store.end_job(update.command_id, news)
        except StoreError as error:
            log.error("that %s was updated is not written down: %s", update.name, error)
            for row in news:
                self._reporter.completed(row.payload)
        self._news()
