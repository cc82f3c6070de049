"""The kernel's files beside the engine's own figures: the same containers at the same time, whatever they do."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import docker
import pytest
from engine import Containers

from agent.adapters.cgroup_stats import CgroupStats
from agent.adapters.engine import DockerEngine, Endpoint
from agent.clock import utcnow
from agent.core.processes import process
from agent.core.roster import Run
from agent.core.stats import Counters, counters, sample

BUSY = ["sh", "-c", "trap 'exit 0' TERM; while :; do :; done & wait"]

TALKING = [
    "sh",
    "-c",
    "trap 'exit 0' TERM; ping $(ip route | grep default | cut -d ' ' -f 3) & wait",
]

WRITING = [
    *("sh", "-c"),
    "dd if=/dev/zero of=/x bs=64k count=50 oflag=direct; dd if=/x of=/dev/null bs=64k iflag=direct; "
    "trap 'exit 0' TERM; sleep 3600 & wait",
]

BATCH_BYTES = 2 << 20
"""Each core may keep a few hundred KiB to itself before the kernel adds it to what a group uses."""

API_S = 60.0


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(Endpoint.parse(engine_url))
    yield engine
    await engine.close()


@pytest.fixture
def files() -> Iterator[CgroupStats]:
    source = CgroupStats(contained=False)
    if why := source.obstacle():
        pytest.skip(why)
    yield source
    source.rest()


@pytest.fixture
def parent(containers: Containers) -> Iterator[str]:
    """A place that nobody would guess, for containers or for us. The engine makes it and leaves it behind."""
    name = f"dmatest-{secrets.token_hex(4)}"
    yield name
    containers.remove_all()
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        for group in (hierarchy / name / "deep", hierarchy / name):
            if group.is_dir():
                group.rmdir()


async def met(engine: DockerEngine, container: str) -> Run:
    inspected = await engine.inspect_container(container, deadline_s=API_S)
    return Run(container, "", process=process(inspected))


async def bracketed(
    engine: DockerEngine, files: CgroupStats, run: Run
) -> tuple[Counters, Counters, Counters]:
    """What the files say just before, what the engine says, what the files say just after."""
    before = (await files.read([run]))[run.container_id]
    told = counters(await engine.stats(run.container_id, deadline_s=API_S))
    after = (await files.read([run]))[run.container_id]
    return before, told, after


def assert_same(before: Counters, told: Counters, after: Counters) -> None:
    """Whatever only grows is between the two, and equal if it stood still."""
    for name in (
        *("cpu_ns", "network_rx_bytes", "network_tx_bytes"),
        *("disk_read_bytes", "disk_write_bytes"),
    ):
        figures = [getattr(each, name) for each in (before, told, after)]
        assert figures == sorted(figures), name
    assert before.memory_limit_bytes == told.memory_limit_bytes == after.memory_limit_bytes
    assert min(
        abs(told.memory_usage_bytes - each.memory_usage_bytes) for each in (before, after)
    ) <= (BATCH_BYTES)


@pytest.mark.parametrize(
    ("command", "host"),
    [
        (None, {}),
        (None, {"mem_limit": "64m"}),
        (BUSY, {"nano_cpus": 300_000_000}),
        (None, {"cgroup_parent": "its own"}),
        (TALKING, {"network_mode": "bridge"}),
        (None, {"network_mode": "host"}),
    ],
    ids=["idle", "limited", "busy", "another parent", "a network", "the host's network"],
)
async def test_the_engines_figures(
    engine: DockerEngine,
    files: CgroupStats,
    containers: Containers,
    parent: str,
    command: list[str] | None,
    host: Mapping[str, Any],
) -> None:
    """CPU time, memory, limit, network and disk are the engine's own."""
    if "cgroup_parent" in host:
        host = {"cgroup_parent": f"/{parent}/deep"}
    made = containers.run("same", *([command] if command else []), host=host)
    run = await met(engine, made.id)
    await asyncio.sleep(1)
    first = await bracketed(engine, files, run)
    assert_same(*first)
    if command is TALKING:
        assert first[0].network_rx_bytes > 0
    await asyncio.sleep(1)
    second = await bracketed(engine, files, run)
    assert_same(*second)
    ours, theirs = (
        sample(one[at], two[at], container_id=made.id, name="", at=utcnow())["cpu_percent"]
        for one, two, at in ((first, second, 2), (first, second, 1))
    )
    assert ours == pytest.approx(theirs, abs=8)
    assert (ours > 3) == (command is BUSY)


def block_device() -> str | None:
    """The disk that containers are on, if it is one."""
    shown = subprocess.run(
        ["df", "--output=source", "/var/lib/docker"], capture_output=True, text=True, check=False
    ).stdout.split()
    return shown[-1] if shown and shown[-1].startswith("/dev/") else None


async def test_a_disk(engine: DockerEngine, files: CgroupStats, containers: Containers) -> None:
    """What was read and written past the page cache, to the byte. Newer kernels count only where there is a limit."""
    if (device := block_device()) is None:
        pytest.skip("containers are on no disk of their own here")
    limit = [{"Path": device, "Rate": 10**10}]
    made = containers.run(
        "disk", WRITING, host={"device_write_bps": limit, "device_read_bps": limit}
    )
    run = await met(engine, made.id)
    async with asyncio.timeout(30):
        while (now := (await files.read([run]))[made.id]).disk_read_bytes < 50 * 65536:
            await asyncio.sleep(0.2)
    assert now.disk_write_bytes >= 50 * 65536
    told = (await bracketed(engine, files, run))[1]
    assert (told.disk_read_bytes, told.disk_write_bytes) == (
        now.disk_read_bytes,
        now.disk_write_bytes,
    )


async def test_a_shared_network(
    engine: DockerEngine, files: CgroupStats, containers: Containers
) -> None:
    """The engine counts it for both, and so do we."""
    owner = containers.run("owner", TALKING, host={"network_mode": "bridge"})
    guest = containers.run("guest", host={"network_mode": f"container:{owner.id}"})
    run = await met(engine, guest.id)
    await asyncio.sleep(2)
    before, told, after = await bracketed(engine, files, run)
    assert_same(before, told, after)
    assert before.network_tx_bytes > 0


async def test_a_restart(
    engine: DockerEngine,
    files: CgroupStats,
    containers: Containers,
    docker_client: docker.APIClient,
) -> None:
    """An ended container is left out without a word; its next run is another, whose files are opened anew."""
    made = containers.run("again")
    first = await met(engine, made.id)
    assert (await files.read([first])).keys() == {made.id}
    docker_client.restart(made.id, timeout=5)
    assert await files.read([first]) == {}
    second = await met(engine, made.id)
    assert (await files.read([second])).keys() == {made.id}
    docker_client.kill(made.id)
    docker_client.wait(made.id)
    assert await files.read([second]) == {}


async def test_a_pause(
    engine: DockerEngine,
    files: CgroupStats,
    containers: Containers,
    docker_client: docker.APIClient,
) -> None:
    """It still has its memory, and uses no CPU."""
    made = containers.run("held", BUSY, host={"nano_cpus": 300_000_000})
    run = await met(engine, made.id)
    docker_client.pause(made.id)
    first = (await files.read([run]))[made.id]
    await asyncio.sleep(0.5)
    second = (await files.read([run]))[made.id]
    assert second.cpu_ns - first.cpu_ns < 50_000_000
    assert second.memory_usage_bytes > 0
    docker_client.unpause(made.id)


async def test_fifty_that_start_and_stop(
    engine: DockerEngine,
    files: CgroupStats,
    containers: Containers,
    docker_client: docker.APIClient,
) -> None:
    """Each is read while it runs; afterwards no descriptor is left, and none kept a removal from happening."""
    open_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a directory that changes while it is read
    runs = []
    for number in range(50):
        made = containers.run(f"c{number}")
        runs.append(await met(engine, made.id))
        assert made.id in await files.read(runs)
        if number % 2:
            docker_client.remove_container(runs.pop(0).container_id, force=True)
            assert len(await files.read(runs)) == len(runs)
    containers.remove_all()
    assert await files.read(runs) == {}
    assert not os.path.exists(f"/sys/fs/cgroup/cpuacct/docker/{runs[0].container_id}")  # noqa: ASYNC240, PTH110  at once
    assert await files.read([]) == {}
    # The engine's connections are not ours to count.
    assert len(os.listdir("/proc/self/fd")) <= open_before + 8  # noqa: PTH208


READER = """
import asyncio, sys
from pathlib import Path
from agent.adapters.cgroup_stats import CgroupStats
from agent.core.roster import Process, Run
own, container, pid = sys.argv[1:]
print(Path(f"/proc/{pid}/cgroup").read_text(), file=sys.stderr)
run = Run(container, "", process=Process(int(pid), False))
found = asyncio.run(CgroupStats(contained=True, own_id=own, root=Path("/")).read([run]))
print(found[container].cpu_ns)
"""


@pytest.mark.parametrize("is_usual", [True, False])
async def test_a_namespace_of_our_own(
    engine: DockerEngine, containers: Containers, parent: str, is_usual: bool
) -> None:
    """Where the kernel shows us only the way from our own group, the container's is found all the same."""
    controllers = [Path("/sys/fs/cgroup") / name for name in ("cpuacct", "memory", "blkio")]
    if os.geteuid() != 0 or not all((each / "docker").is_dir() for each in controllers):
        pytest.skip("takes root, and control groups of version 1")
    own_id = secrets.token_hex(32)
    groups = [each / ("docker" if is_usual else parent) / own_id for each in controllers]
    host = {"cgroup_parent": f"/{parent}/deep", "nano_cpus": 10**8}
    made = containers.run("deep", BUSY, host=host)
    run = await met(engine, made.id)
    assert run.process is not None
    for group in groups:
        group.mkdir(parents=True)
    try:
        told = await namespaced(groups, own_id, made.id, run.process.pid)
    finally:
        for group in groups:
            group.rmdir()
    assert told > 0


async def namespaced(groups: list[Path], own_id: str, container: str, pid: int) -> int:
    joining = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
    reader = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'{joining} exec unshare --cgroup "$@"', "sh"),
        *(sys.executable, "-c", READER, own_id, container, str(pid)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said, complained = await reader.communicate()
    assert "/.." in complained.decode(), complained.decode()
    return int(said)


CONTAINED = """
import asyncio, sys
from pathlib import Path
from agent.adapters.cgroup_stats import CgroupStats
from agent.core.own_container import candidates
from agent.core.roster import Process, Run
container, pid = sys.argv[1:]
own, *_ = candidates(mountinfo=Path("/proc/self/mountinfo").read_text(), cgroup="", hostname="")
source = CgroupStats(contained=True, own_id=own)
assert not source.obstacle(), source.obstacle()
run = Run(container, "", process=Process(int(pid), True))
used = asyncio.run(source.read([run]))[container]
print(used.cpu_ns > 0, used.memory_usage_bytes > 0, used.network_rx_bytes >= 0)
"""


@pytest.mark.parametrize("namespace", ["host", "private"])
async def test_in_a_container_that_may_do_nothing(
    engine: DockerEngine,
    containers: Containers,
    docker_client: docker.APIClient,
    namespace: str,
) -> None:
    """Two mounts are enough: no capability, no privilege, nobody's user, a process and a group namespace of its own."""
    if CgroupStats(contained=False).obstacle():
        pytest.skip("there are no control groups here")
    made = containers.run("seen", BUSY, host={"network_mode": "bridge", "nano_cpus": 10**8})
    run = await met(engine, made.id)
    assert run.process is not None
    root = Path(__file__).parents[2]
    python = {"/usr", "/lib", "/lib64", sys.base_prefix, sys.prefix, str(root)}
    binds = [
        *(f"{path}:{path}:ro" for path in sorted(python) if Path(path).is_dir()),  # noqa: ASYNC240  at once
        *("/proc:/host/proc:ro", "/sys/fs/cgroup:/host/sys/fs/cgroup:ro"),
    ]
    host = {
        "binds": binds,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "cgroupns": namespace,
    }
    reader = containers.run(
        "reader",
        [sys.executable, "-c", CONTAINED, made.id, str(run.process.pid)],
        host=host,
        user="65534",
        environment={"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    docker_client.wait(reader.id)
    assert docker_client.logs(reader.id).decode() == "True True True\n"


async def test_cpu_time_of_version_2(
    engine: DockerEngine, containers: Containers, files: CgroupStats, tmp_path: Path
) -> None:
    """Beside version 1 a hierarchy of version 2 may be mounted, without controllers: its CPU time is the same."""
    unified = Path("/sys/fs/cgroup/unified")
    if not (unified / "cgroup.controllers").is_file():
        pytest.skip("no hierarchy of version 2 is mounted beside")
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup").symlink_to(unified)
    (tmp_path / "proc").symlink_to("/proc")
    made = containers.run("both", BUSY, host={"nano_cpus": 300_000_000})
    run = await met(engine, made.id)
    second = CgroupStats(contained=False, root=tmp_path)
    assert (files.version, second.version) == (1, 2)
    figures = []
    for source in (files, second) * 3:
        await asyncio.sleep(0.2)
        figures.append((await source.read([run]))[made.id].cpu_ns)
    assert all(after > before for before, after in pairwise(figures))
    second.rest()
    told = await engine.stats(made.id, deadline_s=API_S)
    assert counters(told).cpu_ns >= figures[-1] - 1_000_000
