"""Health checks over HTTP that the agent runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.hub.verbs.clerk import Clerk, Mistake, Verb, number, words

HELP = """\
checks [@host] [list]      the health checks over HTTP and their last results
checks [@host] add CONTAINER URL [SECONDS]
                           one more, every so many seconds (60)
checks [@host] remove CONTAINER
                           none any more; an agent learns of changes at its next connect"""


class HealthChecks:
    def __init__(self, clerk: Clerk) -> None:
        self._clerk, self._hub = clerk, clerk.hub
        self.verbs: Mapping[str, Verb] = {"checks": self._checks}

    async def _checks(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        verb, _, rest = rest.partition(" ")
        match verb:
            case "" | "list":
                self._list(host.id)
            case "add":
                name, url, interval = words(rest, "checks add web http://web:8080/", 2, 3)
                container_id = self._clerk.container_id(host, name)
                check = _check(host.id, container_id, url, int(number(interval, 60)))
                host.health_checks.append(check)
                self._clerk.say(f"{name} is checked from the agent's next connect on")
            case "remove":
                [name] = words(rest, "checks remove web", 1, 1)
                container_id = self._clerk.container_id(host, name)
                host.health_checks[:] = [
                    check for check in host.health_checks if check["container_id"] != container_id
                ]
            case _:
                raise Mistake(f"checks {verb}? It is list, add or remove")

    def _list(self, host_id: str) -> None:
        self._clerk.list(
            self._described(host_id, check) for check in self._hub.hosts[host_id].health_checks
        )

    def _described(self, host_id: str, check: Mapping[str, Any]) -> str:
        container_id, last = check["container_id"], "no result yet"
        if results := self._hub.checks.of(host_id, container_id):
            result = results[-1].result
            state = "healthy" if result.healthy else f"unhealthy: {result.error_message}"
            last = f"{state} ({result.status_code}, {result.response_time_ms} ms)"
        return f"{container_id}  {check['method']} {check['url']}  {last}"


def _check(host_id: str, container_id: str, url: str, interval_s: int) -> dict[str, object]:
    """As the server sends one, with the defaults of the UI."""
    return {
        "container_id": container_id,
        "host_id": host_id,
        "enabled": True,
        "url": url,
        "method": "GET",
        "expected_status_codes": "200-299",
        "timeout_seconds": 10,
        "check_interval_seconds": interval_s,
        "follow_redirects": True,
        "verify_ssl": True,
        "headers_json": None,
        "auth_config_json": None,
    }
