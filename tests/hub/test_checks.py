"""Results of health checks over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hub.scripted_agent import joined

from agent.hub.server import Hub

WEB = "9ab3c1d2e4f5"
CHECK = {"container_id": WEB, "url": "http://web/"}


async def test_results(hub: Hub) -> None:
    """Kept by container with their instants; the agent's host_id is not read."""
    async with joined(hub) as (agent, host):
        host.health_checks = [CHECK]
        await agent.tell(
            "health_check_result",
            container_id=WEB + "0" * 52,
            host_id=7,
            healthy=False,
            status_code=503,
            response_time_ms=41,
            error_message="Status 503",
            timestamp="2025-12-31T23:59:59+00:00",
        )
        [checked] = hub.checks.of(host.id, WEB)
        assert checked.at == datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)
        result = checked.result
        assert (result.healthy, result.status_code, result.error_message) == (
            *(False, 503),
            "Status 503",
        )
    assert hub.complaints == []


@pytest.mark.parametrize("timestamp", ["yesterday", "2025-12-31T23:59:59", None])
async def test_a_bad_timestamp(hub: Hub, timestamp: str | None) -> None:
    """It means now."""
    async with joined(hub) as (agent, host):
        host.health_checks = [CHECK]
        await asyncio.sleep(60)
        await agent.tell("health_check_result", container_id=WEB, timestamp=timestamp)
        [checked] = hub.checks.of(host.id, WEB)
        assert checked.at.replace(microsecond=0) == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
        assert (checked.result.healthy, checked.result.status_code) == (False, 0)
    assert [text for _, text in hub.complaints] == [
        f"health_check_result: the timestamp is none: {timestamp!r}"
    ]


async def test_a_check_that_was_deleted(hub: Hub) -> None:
    """The agent could not know: its result is ignored."""
    async with joined(hub) as (agent, host):
        await agent.tell("health_check_result", container_id=WEB, healthy=True)
        assert hub.checks.of(host.id, WEB) == []
    assert hub.complaints == []
