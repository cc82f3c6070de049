"""An agent that updates itself: how a test asks for that, and what it finds afterwards."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from e2e.box import AgentContainer, Box
from e2e.cli import docker
from e2e.patience import until
from e2e.registrations import Registrations

from agent.hub.host import Host
from agent.hub.replies import RequestFailed

SERVER_WAITS_S = 150.0

EXTRACT_LABEL = "dockmon-agent.extract"

_LOOK = """
import json, os
def names(path):
    return sorted(os.listdir(path)) if os.path.isdir(path) else []
update = "/data/update"
state = {}
if os.path.exists(update + "/state.json"):
    with open(update + "/state.json") as file:
        state = json.load(file)
print(json.dumps({"state": state, "slots": names(update + "/slots"), "staging": names(update + "/staging")}))
"""


@dataclass(frozen=True)
class Left:
    """What there is on the volume."""

    state: dict[str, Any]
    slots: Sequence[str]
    staging: Sequence[str]

    @property
    def referenced(self) -> list[str]:
        """The slots that the state names."""
        trial = self.state.get("trial") or {}
        named = {self.state.get("active"), self.state.get("fallback"), trial.get("build_id")}
        return sorted(name for name in named if name)


@dataclass
class Updating:
    """One agent that is registered with the box's hub."""

    box: Box
    registrations: Registrations
    agent: AgentContainer
    host: Host
    repository: str
    command_id: str = ""
    """Of the last `self_update`."""

    async def ask(self, reference: str, **payload: Any) -> Any:
        """The reply to `self_update`, as the server has it; raises `RequestFailed`."""
        payload = {
            "image": reference,
            "version": reference.rpartition(":")[2],
            "binary_url": None,
            "checksum": None,
            **payload,
        }
        self.command_id = str(uuid4())
        return await self.box.hub.request(
            self.host.id, "self_update", payload, SERVER_WAITS_S, self.command_id
        )

    async def refused(self, reference: str, **payload: Any) -> str:
        """The error in the reply."""
        try:
            answer = await self.ask(reference, **payload)
        except RequestFailed as failed:
            return failed.text
        raise AssertionError(f"{reference} was not refused: {answer}")

    async def try_to(self, reference: str) -> None:
        """Asks, and may not live to hear the answer."""
        with contextlib.suppress(RequestFailed):
            await self.ask(reference)

    async def update(self, reference: str) -> str:
        """Asks, and returns the version that registers next."""
        count = len(self.registrations.versions)
        await self.ask(reference)
        return await self.registrations.reach(count + 1)

    async def look(self) -> Left:
        told = await self.agent.exec("python3", "-I", "-S", "-c", _LOOK)
        return Left(**json.loads(told.text))

    async def outcome(self) -> dict[str, Any]:
        """How what was asked for last has ended, once the server has been told."""

        async def is_reported() -> bool:
            result = (await self.look()).state.get("last_result") or {}
            ours = self.command_id in ("", result.get("command_id"))
            return bool(ours and result.get("reported"))

        await until("the last result was reported", is_reported)
        result = (await self.look()).state["last_result"]
        assert isinstance(result, dict)
        return result

    def told(self) -> list[dict[str, Any]]:
        """Each `selfupdate_progress` that has come."""
        return [
            dict(entry.frame["payload"])
            for entry in self.box.hub.journal
            if entry.direction == "in" and entry.frame.get("command") == "selfupdate_progress"
        ]

    async def completion_told(self) -> None:
        """Returns when the server knows that the update is complete."""

        async def is_told() -> bool:
            return any(told["stage"] == "complete" for told in self.told())

        await until("the server was told", is_told)

    async def error_told(self) -> str:
        """What the server was told went wrong, once it has been."""

        async def is_told() -> bool:
            return any(told.get("error") for told in self.told())

        await until("the server was told", is_told)
        (error,) = [told["error"] for told in self.told() if told.get("error")]
        return str(error)

    async def loses_its_containers(self) -> None:
        """Those it copied releases out of: an agent with another ID must not touch what is not its own."""
        for container in (await docker("ps", "-aq", "--filter", self._extracts)).split():
            await docker("rm", "--force", container)

    @property
    def _extracts(self) -> str:
        return f"label={EXTRACT_LABEL}={self.agent.id}"

    async def nothing_is_left(self) -> None:
        """No staging, no slot that nothing refers to, no throwaway container, no image of a release."""

        async def is_clean() -> bool:
            left = await self.look()
            if left.staging or list(left.slots) != left.referenced:
                return False
            if await docker("ps", "-aq", "--filter", self._extracts):
                return False
            return (
                not await docker("images", "--quiet", "--filter", f"reference={self.repository}")
                or await self._only_agents()
            )

        await until("nothing is left of the update", is_clean, within_s=30)

    async def _only_agents(self) -> bool:
        shown = await docker("images", "--format", "{{.Repository}}:{{.Tag}}", self.repository)
        return all(line.endswith("-agent") for line in shown.splitlines())


async def updating(
    box: Box,
    registrations: Registrations,
    image: str,
    *flags: str,
    volume: str | None = None,
) -> Updating:
    """Runs an agent from `image` and waits until it is registered."""
    count = len(registrations.versions)
    agent = await box.run(*flags, image=image, volume=volume)
    await registrations.reach(count + 1)
    host = await box.hub.host_online(timeout_s=10)
    return Updating(box, registrations, agent, host, image.rpartition(":")[0])
