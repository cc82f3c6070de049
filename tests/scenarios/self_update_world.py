"""A world in which the agent runs in a container and a launcher has started it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from fakes.engine import Recipe
from fakes.releases import FakeLauncher, FakeReleases, build, image_of
from scenarios.world import World

from agent.core.launch import Build, LastResult, Launch, Running, Trial
from agent.core.own_container import OwnContainer
from agent.core.self_update_rules import EXTRACT_LABEL
from agent.features.self_update import SelfUpdates, UpdateTools
from agent.ports import RegistryAuth

IMAGE, NEW = "registry.test/team/agent:3.0.0", "registry.test/team/agent:3.1.0"
ORDER = {"image": NEW, "version": "3.1.0", "binary_url": None, "checksum": None}


class SelfUpdateWorld(World):
    """Args: whether it runs in a container."""

    def __init__(self, *, poll_s: float | None = None, contained: bool = True) -> None:
        super().__init__(poll_s=poll_s)
        self.engine.registry[IMAGE] = Recipe(is_new=False)
        self.engine.registry[NEW] = image_of("3.1.0", 31)
        self.releases = FakeReleases()
        self.repositories: tuple[str, ...] = ()
        self.logins: dict[str, RegistryAuth] = {}
        self.why_not = ""
        if contained:
            self.own = OwnContainer(self.engine.add("agent", running=True, image=IMAGE))
        self.images_before = set(self.engine.image_store.images)
        self.supervised = FakeLauncher(launch())
        self.launcher = self.supervised
        self.make_update = lambda services, at_work, post: SelfUpdates(
            services,
            UpdateTools(
                self.supervised,
                self.releases,
                self.own,
                self.repositories,
                lambda server: self.logins.get(server),
                self.why_not,
            ),
            at_work,
            post,
        )

    def next_start(self, launch: Launch) -> None:
        """The launcher starts a release, as told by `launch`, in the place of the one that has ended."""
        self.releases.restarted()
        self.supervised = FakeLauncher(launch)
        self.launcher = self.supervised
        self.start()

    def left_over(self) -> list[str]:
        """What an update that came to nothing must not leave."""
        found = [f"staging {name}" for name in self.releases.stagings]
        found += [f"slot {name}" for name in self.releases.slots]
        found += [
            f"container {box.name}"
            for box in self.engine.boxes.values()
            if EXTRACT_LABEL in (box.config.get("Labels") or {})
        ]
        images = self.engine.image_store.images
        found += [
            f"image {images[id_].repo_digests}" for id_ in images if id_ not in self.images_before
        ]
        return found + [f"job {job}" for job in self.store.begun]

    def stages(self) -> list[str]:
        """What the server was told of the update, in order."""
        return [
            entry.frame["payload"]["stage"]
            for entry in self.hub.journal
            if entry.direction == "in" and entry.frame.get("command") == "selfupdate_progress"
        ]

    async def ask(self, **changes: Any) -> Any:
        """Sends the command as the server does; returns the answer or raises `RequestFailed`."""
        host = next(iter(self.hub.hosts.values()))
        return await self.hub.request(host.id, "self_update", ORDER | changes)

    def way(self) -> list[str]:
        return [after for _, _, after in self.timeline("self_update")]

    async def settled(self) -> None:
        """Until no update is under way."""
        async with asyncio.timeout(1000):
            while "self_update" in self.agent.runtime.states():
                await asyncio.sleep(0.1)


def launch(**changes: Any) -> Launch:
    running = Running(build(30), "3.0.0")
    return replace(
        Launch(running, Build(build(30), "3.0.0"), update_dir="/data/update", root_keys=1),
        **changes,
    )


def on_trial(command_id: str, *, command: str = "self_update", needs_engine: bool = True) -> Launch:
    running = Running(build(31), "3.1.0", source="slot", on_trial=True)
    return launch(running=running, trial=Trial(command_id, needs_engine, command))


def taken_back(
    command_id: str, outcome: Any = "rolled_back", *, proof_s: float | None = None
) -> Launch:
    result = LastResult(
        command_id, "self_update", "3.1.0", outcome, "was not registered within 90 s", proof_s
    )
    return launch(last_result=result)
