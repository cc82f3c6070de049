"""What is done in each state of a deployment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from agent.core.compose.deployment import (
    FailureReported,
    Memory,
    StackBroughtUp,
    StackFailed,
    StackKept,
    StackPulled,
    StackRejected,
    StackSeen,
    StackSettled,
    StackStored,
    StackTakenDown,
    StackTornDown,
    StackValidated,
    SuccessReported,
)
from agent.core.compose.document import UnusableStack
from agent.core.compose.progress import Progress
from agent.core.compose.report import complete
from agent.core.compose.request import DeployRequest
from agent.core.compose.services import Replica, states
from agent.core.compose.settling import Settling
from agent.core.jobs import Job
from agent.core.journal import Row
from agent.core.machine import Event
from agent.core.repeats import Repeats
from agent.features.compose.containers import containers_of, has_containers
from agent.features.compose.narrator import Narrator
from agent.features.compose.preparation import Read, credentials, deployable, read
from agent.features.compose.surroundings import Surroundings
from agent.features.telling import Teller
from agent.ports import Activity, EngineError, Json, RegistryAuth, Services, StoreError
from agent.ports.compose import Compose, ComposeError, Project, Stacks

COMPLETE = "deploy_complete"

TOTAL_S = 1800.0
"""From the acknowledgement on: pull, down, up and the wait for health together. Looking and reporting come on top."""

TEAR_DOWN_S = 150.0
LOOK_EVERY_S, REPORT_AGAIN_S = 1.0, 5.0

ABSENT_S = 60.0
"""For how long an engine that does not answer is taken for one that restarts."""

ABANDON_S = 10.0

log = logging.getLogger("agent.compose")


@dataclass(frozen=True, slots=True)
class Tools:
    """What every deployment works with."""

    compose: Compose
    stacks: Stacks
    surroundings: Surroundings
    services: Services
    teller: Teller


class Procedure:
    """One deployment. It holds what must not be written down: contents and credentials.

    Attributes:
        accepted: Done once the deployment, sound and on record, goes on by itself.
    """

    def __init__(self, request: DeployRequest, job: Job, tools: Tools) -> None:
        self._request, self._job = request, job
        self._name = request.project_name
        self._compose, self._stacks = tools.compose, tools.stacks
        self._surroundings, self._news = tools.surroundings, tools.services.news
        self._engine, self._store = tools.services.engine, tools.services.store
        self._progress = Progress(request.deployment_id, request.project_name)
        self._narrator = Narrator(self._progress, tools.teller)
        self._loop = asyncio.get_running_loop()
        self.accepted: asyncio.Future[None] = self._loop.create_future()
        self._until_s = 0.0
        self._is_first = False
        self._read: Read | None = None
        self._project = Project(request.project_name, "")
        self._auths: Mapping[str, RegistryAuth] = {}
        self._settling: Settling | None = None
        self._repeats = Repeats()

    def activities(self) -> dict[str, Activity]:
        return {
            "validate": self._validate,
            "store": self._put_in_place,
            "pull": self._pull,
            "take_down": self._take_down,
            "bring_up": self._bring_up,
            "settle": self._settle,
            "tear_down": self._tear_down,
            "look": self._look,
            "report": self._report,
        }

    async def abandon(self) -> None:
        """Forgets what there is of a deployment that was not accepted; not for ever, on a disk that hangs."""
        try:
            async with asyncio.timeout(ABANDON_S):
                await self._store.end_job(self._job.id, [])
                await self._stacks.discard(self._name)
        except (StoreError, TimeoutError) as error:
            why = str(error) or "no answer"
            log.warning("what was prepared for %s is not removed: %s", self._name, why)

    # Before the acknowledgement

    async def _validate(self, _: object) -> Event:
        self._narrator.enters("validating", "checking the project")
        try:
            if await self._surroundings.is_own_project(self._name):
                return StackRejected(
                    f"{self._name} is the project the agent itself belongs to: it would end before "
                    "it is done; use `docker compose` on the host"
                )
            self._is_first = not await has_containers(self._engine, self._name)
            if self._request.action != "down":
                self._read = await read(self._request, self._compose, self._stacks)
                self._progress.knows(self._read.images, self._read.container_names)
        except (EngineError, StoreError, UnusableStack) as error:
            return StackRejected(str(error))
        return StackValidated()

    async def _put_in_place(self, _: object) -> Event:
        self._narrator.enters("parsing", "the project is sound")
        try:
            if self._read is None:
                await self._store.save_job(self._job)
                return StackKept()
            hosts = await self._surroundings.host_paths()
            self._project = deployable(self._request, self._read, self._stacks, hosts)
            self._auths = credentials(self._request, self._read)
            await self._store.save_job(self._job)
            await self._stacks.commit(self._name, self._request.files)
        except (EngineError, StoreError, UnusableStack) as error:
            return StackRejected(str(error))
        return StackStored()

    # From it on

    def _accept(self) -> None:
        log.info("deploying %s: %s", self._name, self._request.action)
        self._until_s = self._loop.time() + TOTAL_S
        self.accepted.set_result(None)

    async def _pull(self, _: object) -> Event:
        self._accept()
        if not self._request.pull_images:
            return StackPulled()
        self._narrator.enters("pulling_image", "pulling images")
        try:
            await self._compose.pull(
                self._project,
                auths=self._auths,
                watch=self._narrator.hears,
                deadline_s=self._left_s(),
            )
        except ComposeError as error:
            return StackFailed(f"pulling: {error}")
        return StackPulled()

    async def _take_down(self, _: object) -> Event:
        self._accept()
        try:
            await self._down(remove_volumes=self._request.remove_volumes)
            if self._request.remove_volumes:
                await self._stacks.remove(self._name)
        except (ComposeError, StoreError) as error:
            return StackFailed(str(error))
        return StackTakenDown()

    async def _bring_up(self, _: object) -> Event:
        try:
            if self._request.action == "restart":
                await self._down(remove_volumes=False)
            await self._compose.up(
                self._project,
                force_recreate=self._request.force_recreate,
                auths=self._auths,
                watch=self._narrator.hears,
                deadline_s=self._left_s(),
            )
        except ComposeError as error:
            return StackFailed(str(error))
        return StackBroughtUp()

    async def _down(self, *, remove_volumes: bool) -> None:
        self._narrator.enters("executing", "stopping and removing")
        await self._compose.down(
            self._name,
            remove_volumes=remove_volumes,
            watch=self._narrator.hears,
            deadline_s=self._left_s(),
        )

    async def _settle(self, _: object) -> Event:
        if not self._request.wait_for_healthy:
            return StackSettled()
        self._narrator.enters("waiting_for_health", "waiting for all services to be healthy")
        timeout_s = min(self._request.health_timeout_s, self._left_s())
        self._settling = Settling(timeout_s=timeout_s, at_s=self._loop.time())
        while True:
            try:
                found = await self._containers(within_s=timeout_s)
            except EngineError as error:
                return StackFailed(f"whether it is healthy is unknown: {error}")
            services = states(found, awaited=True)
            self._narrator.sees({name: state.wire_status for name, state in services.items()})
            if self._settling.look(found, self._loop.time()):
                return StackSettled()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _tear_down(self, _: object) -> Event:
        if self._is_first:
            try:
                await self._compose.down(
                    self._name,
                    remove_volumes=False,  # they may be of an earlier life of the project
                    watch=_ignore,
                    deadline_s=TEAR_DOWN_S,
                )
            except ComposeError:
                log.warning("%s: what was left of it is not removed", self._name)
        return StackTornDown()

    async def _look(self, _: object) -> Event:
        self._narrator.enters("health_check", "looking at the containers")
        try:
            found = await self._containers(within_s=ABSENT_S)
        except EngineError as error:
            return StackFailed(f"what came of it is unknown: {error}")
        if self._settling is not None:
            found = self._settling.corrected(found)
        return StackSeen(states(found, awaited=self._request.wait_for_healthy))

    async def _report(self, memory: object) -> Event:
        assert isinstance(memory, Memory)
        request = self._request
        payload = complete(request.deployment_id, request.action, memory.services, memory.failure)
        while not await self._written_down(completion(self._job.id, payload)):
            await asyncio.sleep(REPORT_AGAIN_S)
        self._news()
        outcome = "succeeded" if payload["success"] else "failed"
        log.info("deploying %s: %s %s", self._name, request.action, outcome)
        return SuccessReported() if payload["success"] else FailureReported()

    async def _written_down(self, result: Row) -> bool:
        try:
            await self._store.end_job(self._job.id, [result])
        except StoreError as error:
            if report := self._repeats.failed("report", self._loop.time()):
                log.warning("writing down the end of a deployment %s: %s", report, error)
            return False
        return True

    async def _containers(self, *, within_s: float) -> list[Replica]:
        until_s = self._loop.time() + min(within_s, ABSENT_S)
        while True:
            try:
                return await containers_of(self._engine, self._name)
            except EngineError:
                if self._loop.time() >= until_s:
                    raise
            await asyncio.sleep(LOOK_EVERY_S)

    def _left_s(self) -> float:
        return max(1.0, self._until_s - self._loop.time())


def completion(job_id: str, payload: Json) -> Row:
    """What is to be delivered at the end of a job."""
    return Row(key=f"{COMPLETE}:{job_id}", payload=payload, kind=COMPLETE)


def _ignore(_: Json) -> None:
    """For what nobody watches: the bar has been where it will be."""
