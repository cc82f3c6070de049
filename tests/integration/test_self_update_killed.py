"""The real agent under the real launcher updates itself, and is killed at every moment that the code names."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from integration.agent_release import AgentRelease, Dwelling, code_with_faults
from launcher.machine_room import REPOSITORY, Launcher

from agent.hub.host import Host
from agent.hub.server import Hub

ONLINE_S, END_S = 40.0, 60.0

ON_THE_WAY = (
    *("staging.condemned", "staging.cleared", "staging.begun", "staging.made"),
    *("release.unpacked", "release.synced", "slot.renamed", "slot.kept"),
    *("handover.begun", "handover.asked", "handover.answered"),
    *("result.journalled", "result.reported"),
)

OF_A_BAD_ONE = ("slot.given_up", "slot.set_aside")
"""A release that fails its self-check is removed."""

ASKED = ("handover.asked", "handover.answered")
"""The launcher has what it needs: however the agent ends, the new release is next."""

ELSEWHERE = {
    "registration.reached": "the launcher's own tests kill a release on trial there",
    "registration.told": "the launcher's own tests kill a release on trial there",
    "release.downloaded": "a native host's way; what is staged is swept like release.unpacked",
    "slot.condemned": "takes a slot that the disk has damaged",
    "slot.removed_for_another": "takes a slot that the disk has damaged",
}


def points() -> set[str]:
    """Every moment that the agent's code names, the launcher's left out."""
    files = [
        path
        for path in (REPOSITORY / "agent").rglob("*.py")
        if not {"launcher", "installer"} & {*path.parts}
    ]
    return {name for path in files for name in re.findall(r'fault\("([\w.]+)"\)', path.read_text())}


def test_every_point_has_a_row() -> None:
    """A new durable step needs a row here, or a reason why it is proved elsewhere."""
    assert {*ON_THE_WAY, *OF_A_BAD_ONE, *ELSEWHERE} == points()


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return code_with_faults(tmp_path_factory.mktemp("code"))


@pytest.fixture
def dwell(
    tmp_path: Path, docker_client: docker.APIClient, code: Path
) -> Iterator[Callable[..., Dwelling]]:
    made: list[Dwelling] = []

    def make(new: AgentRelease) -> Dwelling:
        made.append(Dwelling(tmp_path, docker_client, AgentRelease("3.0.0", code=code), new))
        return made[-1]

    yield make
    for dwelling in made:
        dwelling.close()


class Agent:
    """The installation at work: launcher and agent, started again and again."""

    def __init__(self, dwelling: Dwelling, settings: dict[str, str], hub: Hub) -> None:
        self.dwelling, self.hub = dwelling, hub
        self._settings = {
            **settings,
            "DATA_PATH": str(dwelling.room.data),
            "HOSTNAME": dwelling.own[:12],
        }
        self.launcher: Launcher

    async def start(self, **more: str) -> Host:
        """A launcher, and an agent that has registered since."""
        before = sum(host.connections for host in self.hub.hosts.values())
        environ = {**self._settings, **more}
        self.launcher = self.dwelling.room.start(before=(), **environ)
        async with asyncio.timeout(ONLINE_S):
            while sum(host.connections for host in self.hub.hosts.values()) == before:
                await asyncio.sleep(0.05)
        return await self.hub.host_online(ONLINE_S)

    async def update(self, host: Host, version: str = "") -> str:
        """The error in the answer, "" if it agreed."""
        answer = await self.hub.self_update(host.id, self.dwelling.image, version)
        return "" if answer.ok else str(answer.detail)

    async def becomes(self, build_id: str) -> None:
        """Until that build is the active one, and has nothing to report any more."""
        async with asyncio.timeout(END_S):
            while True:
                state = self.dwelling.room.state()
                result = state["last_result"] or {}
                if state["active"] == build_id and result.get("reported"):
                    return
                await asyncio.sleep(0.05)

    async def ends(self) -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: self.launcher.ends(within_s=END_S))


@pytest.fixture
def settings_for_updates(settings: dict[str, str]) -> dict[str, str]:
    return {**settings, "RECONNECT_INITIAL": "200ms"}


async def test_an_update(
    hub: Hub, settings_for_updates: dict[str, str], dwell: Callable[..., Dwelling], code: Path
) -> None:
    """From the registry to a release that stays, within seconds; told once, and nothing is left."""
    new = AgentRelease("3.1.0", code=code)
    agent = Agent(dwell(new), settings_for_updates, hub)
    host = await agent.start()
    assert await agent.update(host, "3.1.0") == ""
    await agent.becomes(new.build_id)
    assert agent.dwelling.left_over() == []
    await hub.wait_for(
        lambda entry: (entry.frame.get("payload") or {}).get("stage") == "complete", END_S
    )
    assert hub.complaints == []


async def test_a_release_that_fails_its_self_check(
    hub: Hub, settings_for_updates: dict[str, str], dwell: Callable[..., Dwelling], code: Path
) -> None:
    """The reply says so, the old one goes on, and nothing is left."""
    agent = Agent(dwell(AgentRelease("3.1.0", code=code, fails=True)), settings_for_updates, hub)
    host = await agent.start()
    assert "status 3" in await agent.update(host)
    async with asyncio.timeout(END_S):
        while agent.dwelling.left_over():
            await asyncio.sleep(0.05)
    assert host.connections == 1


@pytest.mark.parametrize("point", [*ON_THE_WAY, *OF_A_BAD_ONE])
async def test_killed_at(
    hub: Hub,
    settings_for_updates: dict[str, str],
    dwell: Callable[..., Dwelling],
    code: Path,
    point: str,
) -> None:
    """The next start runs one of the two, leaves nothing over, and has the update if it is asked again."""
    new = AgentRelease("3.1.0", code=code, fails=point in OF_A_BAD_ONE)
    agent = Agent(dwell(new), settings_for_updates, hub)
    host = await agent.start(FAULT_AT=point)
    asking = asyncio.get_running_loop().create_task(agent.update(host))
    if point in ASKED:
        await agent.becomes(new.build_id)
    else:
        assert await agent.ends() == 128 + 9
        host = await agent.start()
    async with asyncio.timeout(END_S):
        await asking
        while agent.dwelling.left_over():
            await asyncio.sleep(0.05)
    if new.fails:
        assert "status 3" in await agent.update(host)
    else:
        if (
            agent.dwelling.room.state()["active"] is None
            and not agent.dwelling.room.state()["trial"]
        ):
            assert await agent.update(host) == ""
        await agent.becomes(new.build_id)
    async with asyncio.timeout(END_S):
        while agent.dwelling.left_over():
            await asyncio.sleep(0.05)
    assert hub.complaints == []
