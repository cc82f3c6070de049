"""Acts about a health check over HTTP. The page is the demo's own, for the container has no network."""

from __future__ import annotations

from agent.console.acts.hands import Hands

EVERY_S = 10
"""The shortest interval there is."""

RESULT_S = EVERY_S + 10.0
BROKEN = 503


async def begin(hands: Hands) -> None:
    """The server asks for a check; the first result is waited for, then the page breaks."""
    hands.watch.say("server", f"wants the page {hands.page.url} checked every {EVERY_S} s")
    check = {
        "container_id": hands.container_id,
        "host_id": hands.host.id,
        "enabled": True,
        "url": hands.page.url,
        "method": "GET",
        "expected_status_codes": "200",
        "timeout_seconds": 5,
        "check_interval_seconds": EVERY_S,
    }
    hands.host.health_checks.append(check)
    await hands.tell("health_check_config", check)
    await _result(hands, healthy=True)
    hands.page.status = BROKEN
    hands.watch.say("demo", f"has the page answer {BROKEN} from now on")


async def end(hands: Hands) -> None:
    """The next result is waited for, and the check is over."""
    await _result(hands, healthy=False)
    hands.host.health_checks.clear()
    await hands.tell("health_check_config_remove", {"container_id": hands.container_id})


async def _result(hands: Hands, *, healthy: bool) -> None:
    def is_there() -> bool:
        results = hands.hub.checks.of(hands.host.id, hands.container_id)
        return bool(results) and results[-1].result.healthy is healthy

    await hands.until(is_there, RESULT_S, "the health check had no such result")
