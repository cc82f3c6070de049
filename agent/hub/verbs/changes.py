"""Long work: updates of containers, and deployments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from agent.hub.deployments import Action, DeployRequest
from agent.hub.verbs.clerk import Clerk, Mistake, Verb, words

PATIENCE_S = 3600.0

HELP = """\
update [@host] CONTAINER IMAGE
                           updates the container; its end is told when the server knows of it
upgrade [@host] VERSION    the UI's "update agent" button, which offers another product's image
self-update [@host] IMAGE VERSION [URL SHA256]
                           asks the agent to become that release: an image, or natively a file
deploy [@host] FILE [up|down|restart]
                           deploys a Compose file, with the .env beside it; its end is told"""


class Changes:
    def __init__(self, clerk: Clerk) -> None:
        self._clerk, self._hub = clerk, clerk.hub
        self.verbs: Mapping[str, Verb] = {
            "update": self._update,
            "upgrade": self._upgrade,
            "self-update": self._self_update,
            "deploy": self._deploy,
        }

    async def _update(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        name, image = words(rest, "update web nginx:1.29", 2, 2)
        container_id = self._clerk.container_id(host, name)
        self._clerk.begin(self._updated(host.id, name, container_id, image))

    async def _updated(self, host_id: str, name: str, container_id: str, image: str) -> None:
        try:
            result = await self._hub.update_container(host_id, container_id, image)
        except ValueError as error:
            raise Mistake(str(error)) from None
        if not result.success:
            raise Mistake(f"the update of {name} failed: {result.error}")
        self._clerk.say(f"{name} is {result.container_id} now")
        for dependent in result.failed_dependents:
            self._clerk.say(f"{dependent}, which depends on it, could not follow")

    async def _upgrade(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        [version] = words(rest, "upgrade 3.1.0", 1, 1)
        answer = await self._hub.update_agent(host.id, version)
        if not answer.ok:
            raise Mistake(f"failed ({answer.status}): {answer.detail}")
        self._clerk.say("the agent agreed")

    async def _self_update(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        example = "self-update registry.example.com/agent:3.1.0 3.1.0"
        image, version, url, checksum = words(rest, example, 2, 4)
        self._clerk.begin(self._replaced(host.id, image, version, url, checksum))

    async def _replaced(
        self, host_id: str, image: str, version: str, url: str | None, checksum: str | None
    ) -> None:
        answer = await self._hub.self_update(
            host_id, image, version, binary_url=url or None, checksum=checksum or None
        )
        if not answer.ok:
            raise Mistake(f"failed ({answer.status}): {answer.detail}")
        self._clerk.say("the agent agreed")

    async def _deploy(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        file, action = words(rest, "deploy shop/compose.yaml up", 1, 2)
        self._clerk.begin(self._deployed(host.id, _request(Path(file), action or "up")))

    async def _deployed(self, host_id: str, request: DeployRequest) -> None:
        deployment = await self._hub.deploy(host_id, request)
        try:
            await deployment.done(PATIENCE_S)
        except TimeoutError:
            raise Mistake(f"{request.project_name}: no end within {PATIENCE_S:g} s") from None
        self._clerk.say(f"{deployment.request.project_name}: {deployment.outcome}")
        if deployment.error:
            self._clerk.say(deployment.error)
        for name, service in (deployment.complete.services if deployment.complete else {}).items():
            self._clerk.say(f"{service.container_id:12}  {name}  {service.status}")


def _request(file: Path, action: str) -> DeployRequest:
    """The project is called like the folder of the file."""
    for known in get_args(Action):
        if action == known:
            break
    else:
        raise Mistake(f"{action} is none of up, down, restart")
    try:
        env_file = file.with_name(".env")
        return DeployRequest(
            project_name=file.resolve().parent.name.lower(),
            compose_content=file.read_text("utf-8"),
            env_file_content=env_file.read_text("utf-8") if env_file.exists() else "",
            action=known,
        )
    except OSError as error:
        raise Mistake(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Mistake(f"{file} cannot be read: it is not UTF-8") from None
