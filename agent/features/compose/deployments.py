"""The command `deploy_compose`: one deployment a project at a time, acknowledged once it is sound and on record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.core.chart import Chart
from agent.core.compose.deployment import Deployment
from agent.core.compose.report import complete
from agent.core.compose.request import DeployRequest
from agent.core.compose.services import ServiceState, states
from agent.core.jobs import Job
from agent.core.ledger import Entry, Repeat
from agent.core.own_container import OwnContainer
from agent.core.repeats import Repeats
from agent.features.compose.containers import containers_of
from agent.features.compose.procedure import Procedure, Tools, completion
from agent.features.compose.surroundings import Surroundings
from agent.features.telling import Teller
from agent.ports import CommandFailed, EngineError, Handler, Json, Services, StoreError
from agent.ports.compose import Compose, Stacks

KIND = "compose"

SERVER_WAITS_S = 1800.0

RECOVERY_S, RECOVERY_EVERY_S = 120.0, 5.0
"""How long the engine is asked what became of an interrupted deployment: it may start later than we do."""

INTERRUPTED = "the agent was restarted during the deployment; deploy again to finish it"

STARTED: Json = {"status": "deployment_started"}

log = logging.getLogger("agent.compose")


class JobRecord(BaseModel):
    """What is written down of a deployment under way. No content, no credentials."""

    model_config = ConfigDict(strict=True, frozen=True)

    deployment_id: str
    project: str
    action: str


class Deployments:
    """Everything about Compose deployments. `recover` is to be started once, before the first session.

    Args:
        compose: None if there is none that can be worked with.
        why_not: Why deployments were impossible here at the start, for the user; "" if they were not. With a Compose
            they are tried nevertheless, should the server ask: a disk may have been mended since.
        own: The container we run in.
        host_stacks_dir: The stacks' directory as the engine's host sees it, if somebody told us.
    """

    def __init__(
        self,
        services: Services,
        compose: Compose | None,
        stacks: Stacks,
        *,
        why_not: str = "",
        own: OwnContainer | None = None,
        host_stacks_dir: str | None = None,
    ) -> None:
        self._services, self._why_not = services, why_not
        self._tools: Tools | None = None
        if compose is not None:
            surroundings = Surroundings(services.engine, stacks, own, host_stacks_dir)
            teller = Teller(services.channel, services.clock)
            self._tools = Tools(compose, stacks, surroundings, services, teller)
        self._chart = Chart.load("compose_deployment")
        self._under_way: set[str] = set()
        self._begun: set[str] = set()
        self._recovered: set[str] = set()

    @property
    def capable(self) -> bool:
        """Whether Compose works here and the stacks' directory could be written at the start."""
        return self._tools is not None and not self._why_not

    def capabilities(self) -> Mapping[str, bool]:
        return {"compose_deployments": self.capable, "multi_env_files": self.capable}

    def handlers(self) -> list[Handler[Any]]:
        return [
            Handler(
                "deploy_compose",
                DeployRequest,
                self.deploy,
                lambda _: SERVER_WAITS_S,
                Repeat.PROBE,
                lambda request: f"compose {request.project_name}",
                probe=self.was_started,
            )
        ]

    async def deploy(self, request: DeployRequest, command_id: str) -> Json:
        """Returns once the project is sound, its files are stored and the job is on record: the rest goes by itself."""
        project = request.project_name
        if self._tools is None:
            raise CommandFailed(f"Compose deployments are not possible here: {self._why_not}")
        if project in self._under_way:
            raise CommandFailed(f"{project} is being deployed; try again when that is done")
        machine = Deployment(self._chart)
        job = Job(command_id, KIND, project, _record(request).model_dump())
        procedure = Procedure(request, job, self._tools)
        self._under_way.add(project)
        self._begun.add(command_id)
        ended = self._services.conduct(machine, procedure.activities(), subject=project)
        ended.add_done_callback(lambda _: self._forget(project, command_id))
        either: set[asyncio.Future[Any]] = {ended, procedure.accepted}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if procedure.accepted.done():
            return STARTED
        if machine.finished and machine.memory.failure:
            await procedure.abandon()
        raise CommandFailed(machine.memory.failure or "the agent stops; try again in a moment")

    def _forget(self, project: str, command_id: str) -> None:
        self._under_way.discard(project)
        self._begun.discard(command_id)

    async def was_started(self, entry: Entry) -> Json | None:
        jobs = {job.id for job in await self._services.store.jobs()}
        return STARTED if entry.command_id in jobs | self._recovered else None

    async def recover(self) -> None:
        """Reports as failed what a process before us had begun, as soon as the disk takes it."""
        loop, repeats = asyncio.get_running_loop(), Repeats()
        while True:
            try:
                return await self._report_all_interrupted()
            except StoreError as error:
                if report := repeats.failed("recover", loop.time()):
                    log.warning("reporting interrupted deployments %s: %s", report, error)
            await asyncio.sleep(RECOVERY_EVERY_S)

    async def _report_all_interrupted(self) -> None:
        found = await self._services.store.jobs()
        jobs = [job for job in found if job.kind == KIND and job.id not in self._begun]
        self._recovered.update(job.id for job in jobs)
        for job in jobs:
            await self._report_interrupted(job)

    async def _report_interrupted(self, job: Job) -> None:
        try:
            record = JobRecord.model_validate(job.record)
        except ValidationError:
            log.error("the record of a deployment of %s cannot be read and is dropped", job.subject)
            await self._services.store.end_job(job.id, [])
            return
        log.warning("a deployment of %s was interrupted by the end of the agent", record.project)
        found = await self._services_left(record.project)
        payload = complete(record.deployment_id, record.action, found, INTERRUPTED)
        await self._services.store.end_job(job.id, [completion(job.id, payload)])
        self._services.news()

    async def _services_left(self, project: str) -> Mapping[str, ServiceState]:
        """How its services are, or nothing if the engine does not say in time."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + RECOVERY_S
        while True:
            try:
                return states(await containers_of(self._services.engine, project), awaited=False)
            except EngineError as error:
                if loop.time() >= until_s:
                    log.warning("what became of %s is not known: %s", project, error)
                    return {}
            await asyncio.sleep(RECOVERY_EVERY_S)


def _record(request: DeployRequest) -> JobRecord:
    return JobRecord(
        deployment_id=request.deployment_id, project=request.project_name, action=request.action
    )
