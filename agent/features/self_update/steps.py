"""From a command to another release on trial, step by step."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping

from agent.core.by_hand import by_hand
from agent.core.machine import Event
from agent.core.self_update import (
    Cleaned,
    Drained,
    FitToRun,
    Installed,
    Prepared,
    PreparedNatively,
    ReadyToSwitch,
    ReleaseHere,
    RunsAlready,
    Switched,
    Update,
    UpdateStepFailed,
    Verified,
)
from agent.core.self_update_rules import full_release, wrong_version
from agent.features.self_update.attempt import Attempt
from agent.features.self_update.clearing import Clearing
from agent.features.self_update.obtaining import LOOK_S, Obtaining
from agent.features.self_update.tools import UpdateTools
from agent.features.telling import Teller
from agent.ports import (
    Activity,
    AtWork,
    CommandFailed,
    EngineError,
    LauncherSilent,
    ReleaseRefused,
    Services,
    StoreError,
    Switch,
)

DOWNLOAD_S, SELF_CHECK_S, SWITCH_S = 380.0, 45.0, 50.0

PATIENCE_S = 180.0
"""Updates of containers and deployments get this long to come to their end."""

LOOK_EVERY_S = 0.5

_MESSAGES = {
    "prepare": "Preparing the update",
    "resolve": "Looking for {image}",
    "pull": "Pulling {image}",
    "check": "Checking the image",
    "extract": "Copying the release out of the image",
    "download": "Downloading the release",
    "verify": "Verifying signature and files",
    "install": "Installing release {version}",
    "self_check": "Checking that release {version} can run",
    "await_answer": "Release {version} is ready",
    "drain": "Finishing what is under way",
    "switch": "Starting release {version}",
}
"""By activity, as the server's log of the host has it. Stages are called as the activities are."""

Step = Callable[[Update], Awaitable[Event]]

log = logging.getLogger("agent.self_update")


class Steps:
    """The activities of `statecharts/self_update.toml`, for one update."""

    def __init__(
        self,
        services: Services,
        tools: UpdateTools,
        attempt: Attempt,
        clearing: Clearing,
        at_work: AtWork,
    ) -> None:
        self._engine, self._tools, self._attempt = services.engine, tools, attempt
        self._releases, self._launcher = tools.releases, tools.launcher
        self._clearing, self._at_work = clearing, at_work
        self._teller = Teller(services.channel, services.clock)
        self._obtaining = Obtaining(services.engine, tools, clearing)

    def by_name(self) -> Mapping[str, Activity]:
        steps: Mapping[str, Step] = {
            "prepare": self.prepare,
            "resolve": self._obtaining.resolve,
            "pull": self._obtaining.pull,
            "check": self._obtaining.check,
            "extract": self._obtaining.extract,
            "download": self.download,
            "verify": self.verify,
            "install": self.install,
            "self_check": self.self_check,
            "await_answer": self.await_answer,
            "drain": self.drain,
            "switch": self.switch,
        }
        activities = {name: self._step(name, step) for name, step in steps.items()}
        return {**activities, "clean_up": self.clean_up, "dismiss": self.clean_up}

    def _step(self, name: str, step: Step) -> Activity:
        async def do(update: Update) -> Event:
            message = _MESSAGES[name].format(image=update.request.image, version=update.version)
            self._teller.tell("selfupdate_progress", {"stage": name, "message": message})
            try:
                return await step(update)
            except ReleaseRefused as refused:
                return UpdateStepFailed(await self._explained(refused, update))
            except (CommandFailed, EngineError, StoreError) as error:
                return UpdateStepFailed(str(error))

        return do

    async def _explained(self, refused: ReleaseRefused, update: Update) -> str:
        """With the commands for what a slot cannot carry."""
        if not refused.needs_recreation:
            return str(refused)
        own = None
        if self._tools.own is not None:
            try:
                own = await self._engine.inspect_container(self._tools.own.id, deadline_s=LOOK_S)
            except EngineError:
                return f"{refused}; recreate the agent's container from the new image"
        return f"{refused}; {by_hand(own, update.request.image)}"

    async def prepare(self, update: Update) -> Event:
        if not update.is_native:
            await self._clearing.sweep()
        if why := await self._releases.obstacle() or await self._releases.shortage():
            return UpdateStepFailed(why)
        return PreparedNatively() if update.is_native else Prepared()

    async def download(self, update: Update) -> Event:
        staging = await self._releases.begin()
        request = update.request
        await self._releases.fetch(
            staging, request.binary_url, request.checksum, deadline_s=DOWNLOAD_S
        )
        return ReleaseHere(staging)

    async def verify(self, update: Update) -> Event:
        release = await self._releases.verify(update.staging)
        label = full_release(update.found_version) or update.found_version
        if label and release.version != label:
            return UpdateStepFailed(
                f"the image says it is version {update.found_version}, and has release {release.version} in it"
            )
        if why := wrong_version(update.request.version, release.version):
            return UpdateStepFailed(f"the release is not taken: {why}")
        if release.build_id == update.running_build:
            return RunsAlready(release.build_id, release.version)
        return Verified(release.build_id, release.version)

    async def install(self, update: Update) -> Event:
        return Installed(await self._releases.install(update.staging, update.build_id))

    async def self_check(self, update: Update) -> Event:
        await self._releases.self_check(update.build_id, deadline_s=SELF_CHECK_S)
        return FitToRun()

    async def await_answer(self, update: Update) -> Event:
        self._attempt.decide()
        while not self._attempt.answered.is_set():
            await self._at_work.confirm()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._attempt.answered.wait()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self._at_work.under_way():
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            what = self._at_work.under_way()
            return UpdateStepFailed(
                f"{what} is still under way; update the agent when that is done"
            )
        return ReadyToSwitch()

    async def drain(self, update: Update) -> Event:
        await self._at_work.drain()
        return Drained()

    async def switch(self, update: Update) -> Event:
        request = update.request
        switch = Switch(
            update.build_id,
            update.version,
            request.command_id,
            request.command,
            needs_engine=self._at_work.follows_engine,
        )
        try:
            why = await self._launcher.switch(switch, deadline_s=SWITCH_S)
        except LauncherSilent as silent:
            return UpdateStepFailed(str(silent), is_open=True)
        return (
            UpdateStepFailed(f"the launcher refused release {update.version}: {why}")
            if why
            else Switched()
        )

    async def clean_up(self, update: Update) -> Event:
        """Each part by itself: what one of them cannot remove does not keep the others."""
        self._at_work.resume()
        keep = update.slot_was_there or update.may_be_switched
        try:
            await self._releases.discard("" if keep else update.build_id)
        except ReleaseRefused as refused:
            log.warning("what arrived of the new release is not removed yet: %s", refused)
        if not update.is_native:
            await self._clearing.sweep()
        return Cleaned()
