"""kill -9 at any moment: no event is lost, no command is carried out twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

import docker
from engine import Containers
from integration.agent_process import AgentProcess

from agent.core.journal import REPORTED
from agent.hub.replies import RequestFailed
from agent.hub.server import Hub

SEED = 20260101


def now() -> str:
    """This instant as the engine takes it for a bound: Unix time with a fraction."""
    return f"{time.time():.6f}"  # noqa: TID251  the engine's question


def told_by_engine(client: docker.APIClient, container: str, since: str) -> list[tuple[str, str]]:
    """(nanosecond, action) of each lifecycle event of `container`, in the engine's order: the truth."""
    events: Iterator[dict[str, Any]] = client.events(  # type: ignore[call-overload]  # takes text as well
        since=since,
        until=now(),
        filters={"container": container, "event": sorted(REPORTED)},
        decode=True,
    )
    return [(str(event["timeNano"])[-9:], str(event["Action"])) for event in events]


def told_to_hub(hub: Hub, container: str) -> list[tuple[str, str]]:
    """The same, as the hub received it, repetitions left out."""
    told: dict[tuple[str, str], None] = {}
    for entry in hub.journal:
        payload = entry.frame.get("payload")
        if entry.direction == "in" and entry.frame.get("command") == "container_event":
            assert isinstance(payload, dict)
            if payload["container_id"] == container:
                told[payload["timestamp"][-10:-1], payload["action"]] = None
    return list(told)


async def test_no_event_is_lost(
    hub: Hub, settings: dict[str, str], containers: Containers, docker_client: docker.APIClient
) -> None:
    """A container starts and dies while the agent is killed at random moments, over and over: the hub has it all."""
    rng = random.Random(SEED)
    since = now()
    churned = containers.create(name="churned")
    loop = asyncio.get_running_loop()

    async with AgentProcess(settings) as first:
        await first.says("catching_up -> following")

    over = asyncio.Event()

    async def churn() -> None:
        for _ in range(24):
            await loop.run_in_executor(None, docker_client.start, churned.id)
            await asyncio.sleep(rng.uniform(0, 0.3))
            await loop.run_in_executor(None, docker_client.kill, churned.id)
            await asyncio.sleep(rng.uniform(0, 0.3))
        over.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(churn())
        while not over.is_set():
            async with AgentProcess(settings):
                await asyncio.sleep(rng.uniform(0.2, 2.5))
    truth = told_by_engine(docker_client, churned.id, since)
    assert len(truth) == 48
    async with AgentProcess(settings):
        async with asyncio.timeout(30):
            while told_to_hub(hub, churned.id)[-1:] != truth[-1:]:
                await hub.wait_for(lambda _: told_to_hub(hub, churned.id)[-1:] == truth[-1:], 30)
    assert told_to_hub(hub, churned.id) == truth


async def test_no_command_is_carried_out_twice(
    hub: Hub, settings: dict[str, str], containers: Containers, docker_client: docker.APIClient
) -> None:
    """Killed at a random moment of a `restart` and asked again under its id: at most one restart, honestly told."""
    rng = random.Random(SEED)
    restarted = containers.run(name="restarted")
    for attempt in range(8):
        since = now()
        before = docker_client.inspect_container(restarted.id)["State"]["StartedAt"]
        request_id = f"request-{attempt}"
        async with AgentProcess(settings) as killed:
            await killed.says("registering -> connected")
            host = await hub.host_online(timeout_s=10)
            asking = asyncio.get_running_loop().create_task(
                hub.request(
                    host.id, "restart", {"container_id": restarted.id[:12]}, 5.0, request_id
                )
            )
            await asyncio.sleep(rng.uniform(0, 0.5))
            await killed.kill()
            asking.cancel()
            await asyncio.wait({asking})
        async with AgentProcess(settings) as survivor:
            await survivor.says("registering -> connected")
            host = await hub.host_online(timeout_s=10)
            answer = "done"
            try:
                await hub.request(
                    host.id, "restart", {"container_id": restarted.id[:12]}, 20.0, request_id
                )
            except RequestFailed as failed:
                answer = str(failed)
            assert answer == "done" or "outcome is unknown" in answer
        restarts = [
            stamp
            for stamp, action in told_by_engine(docker_client, restarted.id, since)
            if action == "restart"
        ]
        after = docker_client.inspect_container(restarted.id)["State"]["StartedAt"]
        assert len(restarts) <= 1
        if answer == "done":
            assert after > before
