"""From the name of an image to the release in it, on the volume. Nothing of the image is ever run."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from agent.core.image_reference import ImageReference
from agent.core.machine import Event
from agent.core.self_update import Checked, Pulled, ReleaseHere, Resolved, Update, UpdateStepFailed
from agent.core.self_update_rules import (
    EXTRACT_LABEL,
    RELEASE_PATH,
    VERSION_LABEL,
    wrong_platform,
    wrong_version,
)
from agent.features.self_update.clearing import Clearing
from agent.features.self_update.tools import UpdateTools
from agent.ports import (
    Engine,
    EngineBusy,
    EngineRefused,
    Json,
    NotFound,
    RegistryAuth,
)

ASK_S, PULL_S, LOOK_S, CREATE_S, COPY_S, REMOVE_S = 40.0, 380.0, 15.0, 45.0, 90.0, 30.0
AGAIN_S = 1.0

log = logging.getLogger("agent.self_update")


class Obtaining:
    """The activities that lead to a release in a staging, where we run in a container."""

    def __init__(self, engine: Engine, tools: UpdateTools, clearing: Clearing) -> None:
        self._engine, self._tools, self._clearing = engine, tools, clearing

    async def resolve(self, update: Update) -> Event:
        reference = ImageReference.parse(update.request.image)
        image = await self._by_digest(reference)
        return Resolved(image, await self._is_there(image))

    async def pull(self, update: Update) -> Event:
        await self._clearing.note(update)
        reference = ImageReference.parse(update.request.image)
        while True:
            try:
                await self._engine.pull(update.image, deadline_s=PULL_S, auth=self._auth(reference))
                break
            except (
                EngineBusy
            ):  # with the pulls of others: it is this one's turn when one of them is done
                await asyncio.sleep(AGAIN_S)
        if "@" in update.image:
            return Pulled(update.image, update.image_was_there)
        return Pulled(await self._digest_of(update.image, reference), update.image_was_there)

    async def check(self, update: Update) -> Event:
        image = await self._engine.inspect_image(update.image, deadline_s=LOOK_S)
        if why := wrong_platform(image, self._tools.releases.platform):
            return UpdateStepFailed(f"{update.request.image} cannot run here: {why}")
        labels = (image.get("Config") or {}).get("Labels") or {}
        version = str(labels.get(VERSION_LABEL) or "")
        if why := wrong_version(update.request.version, version):
            return UpdateStepFailed(f"{update.request.image} is not taken: {why}")
        return Checked(version)

    async def extract(self, update: Update) -> Event:
        assert self._tools.own is not None, "natively there is no image"
        releases = self._tools.releases
        staging = await releases.begin()
        config: Json = {
            "Image": update.image,
            "Cmd": ["never-started"],
            "Labels": {EXTRACT_LABEL: self._tools.own.id},
            "NetworkDisabled": True,
            "HostConfig": {"NetworkMode": "none"},
        }
        container = await self._engine.create(config, None, deadline_s=CREATE_S)
        try:
            await self._engine.archive(
                container,
                RELEASE_PATH,
                lambda chunks: releases.unpack(staging, chunks),
                deadline_s=COPY_S,
            )
        except NotFound:
            return UpdateStepFailed(
                f"{update.request.image} has no release in {RELEASE_PATH}: it is no image of this agent"
            )
        await self._engine.remove(container, force=True, deadline_s=REMOVE_S)
        await self._clearing.image(update)
        return ReleaseHere(staging)

    async def _by_digest(self, reference: ImageReference) -> str:
        """The image's one name that never means another; the tag, where the engine may not be asked for that."""
        if reference.digest:
            return str(replace(reference, tag=""))
        try:
            answer = await self._engine.distribution(
                str(reference), deadline_s=ASK_S, auth=self._auth(reference)
            )
            digest = str((answer.get("Descriptor") or {}).get("digest") or "")
        except EngineRefused as refused:
            # A proxy may forbid the question, an engine not know it. If it is the registry that refuses, the pull
            # says so.
            log.info("the digest of %s cannot be asked for: %s", reference, refused)
            digest = ""
        return str(replace(reference, tag="", digest=digest)) if digest else str(reference)

    async def _digest_of(self, image: str, reference: ImageReference) -> str:
        inspected = await self._engine.inspect_image(image, deadline_s=LOOK_S)
        for name in inspected.get("RepoDigests") or ():
            found = ImageReference.parse(str(name))
            if found.name == reference.name:
                log.info("%s is %s", image, found.digest)
        return str(inspected["Id"])  # one that is pulled by a tag is known by what the tag meant

    async def _is_there(self, image: str) -> bool:
        try:
            await self._engine.inspect_image(image, deadline_s=LOOK_S)
        except NotFound:
            return False
        return True

    def _auth(self, reference: ImageReference) -> RegistryAuth | None:
        return self._tools.login(reference.auth_server)
