"""What the container image weighs and how soon it works. By hand, on a machine with an engine:

    .ci/build-image dockmon-agent:test && PYTHONPATH=tests .venv/bin/python -m benchmarks.image dockmon-agent:test

As root it tells the memory of the launcher and of the agent as well. The times depend on the machine; they are medians.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

from docker_registry import DockerRegistry
from e2e.box import COMMAND, Box
from e2e.cli import docker
from e2e.kills import agent_points
from e2e.registrations import Registrations
from e2e.registry import OpenRegistry
from e2e.updating import Updating, updating
from e2e.workshop import Workshop
from engine import find_engine

from agent.hub.server import Hub

RUNS = 5
VERSIONS = ("3.1.0", "3.2.0")


def main(image: str) -> None:
    url = find_engine()
    if url is None or not url.startswith("unix://"):
        sys.exit("this takes an engine on this machine")
    socket = Path(url.removeprefix("unix://"))
    asyncio.run(_sizes(image))
    asyncio.run(_starts(image, socket))
    obstacle = DockerRegistry.obstacle()
    if not agent_points():
        obstacle = "the agent does not carry out its own update yet"
    if obstacle:
        print(f"updates: not measured: {obstacle}")
        return
    with (
        tempfile.TemporaryDirectory() as directory,
        OpenRegistry() as registry,
        Workshop(image, Path(directory), registry.address) as workshop,
    ):
        releases = [workshop.publish(workshop.release(v), v) for v in VERSIONS]
        asyncio.run(_updates(workshop.agent_image(), releases, socket))


async def _sizes(image: str) -> None:
    for name in (image, f"{image}-slim"):
        size_bytes = int(await docker("inspect", "--format", "{{.Size}}", name))
        print(f"{name}: {size_bytes / 1e6:.0f} MB")
    history = ("history", "--format", "{{.Size}}\t{{.CreatedBy}}", image)
    for line in (await docker(*history)).splitlines():
        size, _, made_by = line.partition("\t")
        if size != "0B":
            print(f"  {size:>8}  {made_by or 'the base'}")


async def _starts(image: str, socket: Path) -> None:
    loop = asyncio.get_running_loop()
    taken_s, asked_s = [], []
    async with Hub(poll_s=None) as hub, Box(image, hub, socket) as box:
        registrations = Registrations(hub)
        agent = await box.run()
        await registrations.reach(1)
        for _ in range(RUNS):
            await agent.stop()
            began_s = loop.time()
            await agent.start()
            await registrations.next()
            taken_s.append(loop.time() - began_s)
            began_s = loop.time()
            await agent.exec(*COMMAND, "health")
            asked_s.append(loop.time() - began_s)
        print(f"from `docker start` to registered: {statistics.median(taken_s):.2f} s")
        print(f"`docker exec` of the health check: {statistics.median(asked_s):.2f} s")
        _tell_memory(int((await agent.inspect())["State"]["Pid"]))


def _tell_memory(launcher_pid: int) -> None:
    children = Path(f"/proc/{launcher_pid}/task/{launcher_pid}/children")
    try:
        agent_pid = int(children.read_text().split()[0])
        for name, pid in (("launcher", launcher_pid), ("agent", agent_pid)):
            figures = _smaps(Path(f"/proc/{pid}/smaps_rollup").read_text())
            private = figures["Private_Clean"] + figures["Private_Dirty"]
            print(
                f"{name}: RSS {figures['Rss'] / 1e3:.1f} MB, PSS {figures['Pss'] / 1e3:.1f} MB, "
                f"private {private / 1e3:.1f} MB"
            )
    except (OSError, IndexError):
        print("memory: not measured: that takes root on the engine's own machine")


def _smaps(text: str) -> dict[str, int]:
    """Each figure, in kB."""
    rows = (line.split() for line in text.splitlines()[1:])
    return {row[0].rstrip(":"): int(row[1]) for row in rows}


async def _updates(image: str, releases: list[str], socket: Path) -> None:
    taken_s, off_s = [], []
    async with Hub(poll_s=None) as hub, Box(image, hub, socket) as box:
        registrations = Registrations(hub)
        host = await updating(box, registrations, image)
        for n in range(RUNS):
            whole_s, away_s = await _update(host, releases[n % len(releases)])
            taken_s.append(whole_s)
            off_s.append(away_s)
            await host.outcome()
    print(f"from the command to the new release registered: {statistics.median(taken_s):.2f} s")
    print(f"of these without a session: {statistics.median(off_s):.2f} s")


async def _update(host: Updating, reference: str) -> tuple[float, float]:
    """(from the command to registered, of these without a session), in seconds."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    last = host.host.link
    asking = loop.create_task(host.update(reference))
    assert last is not None
    await last.wait_closed()
    closed_s = loop.time()
    await asking
    return loop.time() - began_s, loop.time() - closed_s


if __name__ == "__main__":
    main(*sys.argv[1:])
