"""HTTP checks of containers, carried out for as long as the session lasts that asked for them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.health_checks import HealthCheck, InvalidCheck, container_id, health_check
from agent.core.health_results import result
from agent.core.replies import event
from agent.features.health_outbox import HealthOutbox
from agent.ports import Channel, Clock, HttpProbe, Scope

MAX_CHECKS = 500
"""More than any host has containers with a web page; each has a task of its own."""

PROBES_AT_ONCE = 32
"""So many servers that take their connection and never answer may there be before other checks come late."""

SPREAD_S = 10.0
"""First runs are spread over this time: no burst, and whoever looks sees a first result soon."""

log = logging.getLogger("agent.health_checks")


@dataclass(frozen=True, slots=True)
class _Running:
    check: HealthCheck
    task: asyncio.Task[None]


class HealthChecks:
    """The lifecycle's resource `health_checks`. A new session begins without checks: its server sends what it wants.

    The newest result of each container that could not be sent is kept for the next session.
    """

    def __init__(
        self, probe: HttpProbe, channel: Channel, *, clock: Clock, rng: random.Random
    ) -> None:
        self._probe, self._clock, self._rng = probe, clock, rng
        self._outbox = HealthOutbox(channel, max_containers=MAX_CHECKS)
        self._slots = asyncio.Semaphore(PROBES_AT_ONCE)
        self._scope: Scope | None = None
        self._running: dict[str, _Running] = {}  # by container

    def listeners(self) -> Mapping[str, Callable[[Mapping[str, Any]], None]]:
        """Takers of the server's three messages, by type."""
        return {
            "health_check_configs_sync": self._sync,
            "health_check_config": self._configure,
            "health_check_config_remove": self._remove,
        }

    # The resource

    def acquire(self, scope: Scope) -> None:
        self._scope = scope
        scope.spawn(self._outbox.send_kept(), "results of the last session")

    async def release(self) -> None:
        tasks = [running.task for running in self._running.values()]
        self.abort()
        if tasks:
            await asyncio.wait(tasks)
            await self._probe.rest()

    def abort(self) -> None:
        self._scope = None
        for container in list(self._running):
            self._end(container)

    # What the server says

    def _sync(self, payload: Mapping[str, Any]) -> None:
        configs = payload.get("configs") or []
        if not isinstance(configs, list):
            log.warning("health checks were not understood: configs: must be a list")
            return
        wanted: dict[str, HealthCheck] = {}
        for config in configs:
            if (check := _read(config)) is not None and check.is_enabled:
                wanted[check.container_id] = check
        for container in self._running.keys() - wanted.keys():
            self._drop(container)
        for check in wanted.values():
            self._begin(check)
        log.info("%d health checks are carried out", len(self._running))

    def _configure(self, payload: Mapping[str, Any]) -> None:
        check = _read(payload)
        if check is not None and check.is_enabled:
            self._begin(check)
        else:
            self._remove(payload)

    def _remove(self, payload: Mapping[str, Any]) -> None:
        if (container := container_id(payload.get("container_id"))) is not None:
            self._drop(container)

    def _begin(self, check: HealthCheck) -> None:
        """Has `check` carried out from now on; one that is already goes on undisturbed."""
        if self._scope is None:
            return
        running = self._running.get(check.container_id)
        if running is not None:
            if running.check == check:
                return
            self._end(check.container_id)
        if len(self._running) >= MAX_CHECKS:
            log.warning("%s is not checked: %d are already", check.container_id, MAX_CHECKS)
            return
        task = self._scope.spawn(self._repeat(check), check.container_id)
        self._running[check.container_id] = _Running(check, task)

    def _drop(self, container: str) -> None:
        self._end(container)
        self._outbox.forget(container)

    def _end(self, container: str) -> None:
        if (running := self._running.pop(container, None)) is not None:
            running.task.cancel()

    # Carrying out

    async def _repeat(self, check: HealthCheck) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._rng.uniform(0.0, min(SPREAD_S, check.interval_s))
        while True:
            await asyncio.sleep(due_s - loop.time())
            await self._check(check)
            # What took longer than an interval leaves runs out, so that the others get their turn.
            due_s += check.interval_s * (1 + max(0, int((loop.time() - due_s) // check.interval_s)))

    async def _check(self, check: HealthCheck) -> None:
        try:
            async with self._slots:
                outcome = await self._probe.probe(check)
        # A defect met in one check must not cost the others, and the session, their life.
        except Exception as error:
            log.error("the check of %s failed", check.container_id, exc_info=error)
            return
        now = self._clock()
        message = event("health_check_result", result(check, outcome, now), now)
        await self._outbox.send(check.container_id, message)


def _read(config: object) -> HealthCheck | None:
    try:
        return health_check(config)
    except InvalidCheck as invalid:
        given = container_id(config.get("container_id")) if isinstance(config, dict) else None
        log.warning("the check of %s is refused: %s", given or "a container", invalid)
        return None
