"""A volume for releases, and a launcher: in memory, behind our ports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fakes.image_store import Recipe

from agent.core.launch import Launch
from agent.core.self_update_rules import RELEASE_PATH, VERSION_LABEL
from agent.core.tar_stream import Limits, entries
from agent.ports import LauncherSilent, Release, ReleaseRefused, Switch

LIMITS = Limits(100, 1 << 20, 1 << 20)


def build(number: int) -> str:
    return f"{number:064x}"


def image_of(
    version: str, number: int, *, label: str | None = None, platform: str = "linux/amd64"
) -> Recipe:
    """An image of the agent with that release in it."""
    manifest = json.dumps({"build_id": build(number), "version": version}).encode()
    return Recipe(
        config={"Labels": {VERSION_LABEL: version if label is None else label}},
        files={f"{RELEASE_PATH}/manifest.json": manifest, f"{RELEASE_PATH}/a/start.py": b"run"},
        platform=platform,
    )


@dataclass
class FakeReleases:
    """What is on the volume is public. `delay_s` and `failing` are by method."""

    platform: str = "linux/amd64"
    stagings: dict[str, dict[str, bytes]] = field(default_factory=dict)
    slots: dict[str, dict[str, bytes]] = field(default_factory=dict)
    in_the_way: str = ""
    lacking: str = ""
    delay_s: dict[str, float] = field(default_factory=dict)
    failing: dict[str, ReleaseRefused] = field(default_factory=dict)
    fetched: list[tuple[str, str]] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What a download brings."""

    async def obstacle(self) -> str:
        await self._do("obstacle")
        return self.in_the_way

    async def shortage(self) -> str:
        await self._do("shortage")
        return self.lacking

    async def begin(self) -> str:
        await self._do("begin")
        self.stagings = {"one": {}}
        return "one"

    def unpack(self, staging: str, chunks: Iterator[bytes]) -> None:
        if "unpack" in self.failing:
            raise self.failing["unpack"]
        for entry in entries(chunks, LIMITS):
            if not entry.is_directory:
                self.stagings[staging]["/".join(entry.path[1:])] = b"".join(entry.content)

    async def fetch(self, staging: str, url: str, checksum: str, *, deadline_s: float) -> None:
        await self._do("fetch")
        self.fetched.append((url, checksum))
        self.stagings[staging].update(self.files)

    async def verify(self, staging: str) -> Release:
        await self._do("verify")
        found = json.loads(self.stagings[staging]["manifest.json"])
        return Release(found["build_id"], found["version"])

    async def install(self, staging: str, build_id: str) -> bool:
        await self._do("install")
        was_there = build_id in self.slots
        self.slots[build_id] = self.stagings.pop(staging)
        return was_there

    async def self_check(self, build_id: str, *, deadline_s: float) -> None:
        await self._do("self_check")
        assert build_id in self.slots

    async def discard(self, build_id: str = "") -> None:
        await self._do("discard")
        self.stagings.clear()
        self.slots.pop(build_id, None)

    def restarted(self) -> None:
        """The launcher clears stagings when it starts, and slots that nobody refers to."""
        self.stagings.clear()

    async def _do(self, name: str) -> None:
        await asyncio.sleep(self.delay_s.get(name, 0.0))
        if name in self.failing:
            raise self.failing[name]


@dataclass
class FakeLauncher:
    """`refusal` is its answer to a switch, "" for yes; None: it gives none."""

    launch: Launch
    refusal: str | None = ""
    takes_s: float = 0.0
    switches: list[Switch] = field(default_factory=list)
    registrations: list[float] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)

    def registered(self) -> None:
        self.registrations.append(asyncio.get_running_loop().time())

    def reported(self, command_id: str) -> None:
        self.reports.append(command_id)

    async def switch(self, switch: Switch, *, deadline_s: float) -> str:
        self.switches.append(switch)
        await asyncio.sleep(self.takes_s)
        if self.refusal is None:
            await asyncio.sleep(deadline_s)
            raise LauncherSilent("the launcher gave no answer")
        return self.refusal
