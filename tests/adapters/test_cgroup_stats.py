"""Reading control groups where they are: drivers, parents, namespaces, mounts, and what cannot be read."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

import pytest
from fakes.group_tree import NET_DEV, TOTAL_BYTES, GroupTree

from agent.adapters.cgroup_stats import CgroupStats
from agent.adapters.cgroup_stats.files import KEPT, QUIET_S
from agent.core.roster import Process, Run
from agent.core.stats import Counters

WEB, DB, OWN = "a" * 64, "b" * 64, "c" * 64


def source(tree: GroupTree, *, own_id: str = "", most_kept: int = 1000) -> CgroupStats:
    return CgroupStats(contained=bool(own_id), own_id=own_id, root=tree.root, most_kept=most_kept)


async def told(files: CgroupStats, *runs: Run) -> list[str]:
    """Whose figures were found."""
    return list(await files.read(runs))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("version", [1, 2])
async def test_figures(tmp_path: Path, version: int) -> None:
    """Those of the engine: of both versions, and CPU time by our own clock."""
    tree = GroupTree(tmp_path, version=version)
    files = source(tree)
    assert (files.version, files.obstacle()) == (version, "")
    web = tree.add(WEB)
    found = await files.read([web])
    assert found == {
        WEB: Counters(
            cpu_ns=5000,
            system_cpu_ns=0,
            cpus=1,
            memory_usage_bytes=995904,
            memory_limit_bytes=TOTAL_BYTES,
            network_rx_bytes=1000,
            network_tx_bytes=70,
            disk_read_bytes=512,
            disk_write_bytes=1024,
        )
    }
    files.rest()


@pytest.mark.parametrize(
    ("version", "group", "shown"),
    [
        (1, f"/docker/{WEB}", ""),
        (1, f"/dmatest/deep/{WEB}", ""),
        (1, f"/system.slice/docker-{WEB}.scope", ""),
        (1, f"/docker/{WEB}", f"/docker/{WEB}/init"),
        (2, f"/system.slice/docker-{WEB}.scope", ""),
        (2, f"/docker/{WEB}", ""),
        (2, f"/own.slice/docker-{WEB}.scope", ""),
        (2, f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{WEB}.scope", ""),
        (2, f"/machine.slice/libpod-{WEB}.scope", f"/machine.slice/libpod-{WEB}.scope/container"),
        (2, f"/system.slice/docker-{WEB}.scope", f"/system.slice/docker-{WEB}.scope/init.scope"),
    ],
)
async def test_drivers_and_parents(tmp_path: Path, version: int, group: str, shown: str) -> None:
    """The container's own group, wherever it was put, and whatever it made beneath."""
    tree = GroupTree(tmp_path, version=version)
    files = source(tree)
    assert await told(files, tree.add(WEB, group=group, shown=shown)) == [WEB]
    files.rest()


@pytest.mark.parametrize(
    ("ours", "group", "shown"),
    [
        (
            f"system.slice/docker-{OWN}.scope",
            f"/system.slice/docker-{WEB}.scope",
            f"/../docker-{WEB}.scope",
        ),
        (f"docker/{OWN}", f"/deep/er/{WEB}", f"/../../deep/er/{WEB}"),
        (f"own.slice/x/docker-{OWN}.scope", f"/deep/{WEB}", f"/../../../deep/{WEB}"),
        ("nowhere/to/be/found", f"/docker/{WEB}", f"/../../../../docker/{WEB}"),
    ],
)
async def test_a_namespace_of_our_own(tmp_path: Path, ours: str, group: str, shown: str) -> None:
    """From our own group the way that the kernel shows leads there; where that is not found, there are usual places."""
    tree = GroupTree(tmp_path, version=2)
    (tree.groups / ours).mkdir(parents=True)
    files = source(tree, own_id=OWN)
    assert await told(files, tree.add(WEB, group=group, shown=shown)) == [WEB]
    files.rest()


async def test_another_machines_process(tmp_path: Path) -> None:
    """A number that is somebody else's here is nobody's figures."""
    tree = GroupTree(tmp_path, version=2)
    web, db = tree.add(WEB), tree.add(DB)
    web.process, db.process = db.process, web.process
    assert await told(source(tree), web, db) == []


async def test_controllers_that_are_switched_off(tmp_path: Path) -> None:
    """As on small boards without memory accounting: it counts as 0, the rest is told."""
    tree = GroupTree(tmp_path, version=2)
    web = tree.add(WEB)
    for name in ("memory.stat", "memory.max", "io.stat"):
        next(tree.groups.rglob(name)).unlink()
    files = source(tree)
    found = (await files.read([web]))[WEB]
    assert (found.cpu_ns, found.memory_usage_bytes, found.memory_limit_bytes) == (5000, 0, 0)
    files.rest()


async def test_an_older_scheduler_that_counts_for_itself(tmp_path: Path) -> None:
    """Where it counted anything, that is what the engine tells too."""
    tree = GroupTree(tmp_path, version=1)
    web, db = tree.add(WEB), tree.add(DB)
    name = "blkio.io_service_bytes_recursive"
    (tree.groups / f"blkio/docker/{WEB}" / name).write_text("8:0 Read 7\n8:0 Write 8\nTotal 15\n")
    (tree.groups / f"blkio/docker/{DB}" / name).write_text("Total 0\n")
    files = source(tree)
    found = await files.read([web, db])
    assert [found[each].disk_read_bytes for each in (WEB, DB)] == [7, 512]
    files.rest()


async def test_without_a_network(tmp_path: Path) -> None:
    """The host's is none of the container's."""
    tree = GroupTree(tmp_path, version=2)
    web = tree.add(WEB)
    assert web.process is not None
    web.process = Process(web.process.pid, has_network=False)
    files = source(tree)
    assert (await files.read([web]))[WEB].network_rx_bytes == 0
    files.rest()


async def test_a_run_whose_process_is_not_known(tmp_path: Path) -> None:
    """It is left out."""
    tree = GroupTree(tmp_path, version=2)
    web = tree.add(WEB)
    web.process = None
    assert await told(source(tree), web) == []


# Descriptors


async def test_descriptors_are_kept_and_let_go(tmp_path: Path) -> None:
    """As long as a run is asked for."""
    tree = GroupTree(tmp_path, version=1)
    web, db = tree.add(WEB), tree.add(DB)
    files, before = source(tree), open_files()
    await files.read([web, db])
    await files.read([web, db])
    assert open_files() == before + 2 * KEPT
    await files.read([db])
    assert open_files() == before + KEPT
    files.rest()
    assert open_files() == before
    assert await told(files, db) == [DB]
    files.rest()


async def test_more_containers_than_descriptors(tmp_path: Path) -> None:
    """All are read; those beyond the bound are opened each time."""
    tree = GroupTree(tmp_path, version=2)
    runs = [tree.add(f"{number:064x}") for number in range(1, 11)]
    files, before = source(tree, most_kept=3), open_files()
    for _ in range(3):
        assert len(await told(files, *runs)) == 10
    assert open_files() <= before + 3 * KEPT
    files.rest()


async def test_another_process(tmp_path: Path) -> None:
    """The container was restarted, and somebody asked the engine since: its new files are read."""
    tree = GroupTree(tmp_path, version=2)
    web = tree.add(WEB)
    files = source(tree)
    await files.read([web])
    tree.remove(web)
    await asyncio.sleep(QUIET_S)  # the kernel would tell at once
    assert await told(files, web) == []
    web.process = tree.add(WEB).process
    assert await told(files, web) == [WEB]
    files.rest()


@pytest.mark.parametrize("version", [1, 2])
async def test_a_container_that_does_not_run(tmp_path: Path, version: int) -> None:
    """Its CPU time is looked at, and the rest now and then; as soon as it runs all of it is read at once."""
    tree = GroupTree(tmp_path, version=version)
    web = tree.add(WEB)
    files = source(tree)
    net, cpu = tree.proc_of(web) / "net/dev", {1: "cpuacct.usage", 2: "cpu.stat"}[version]

    async def received(after_s: float) -> int:
        await asyncio.sleep(after_s)
        return (await files.read([web]))[WEB].network_rx_bytes

    assert await received(0) == 1000
    net.write_text(NET_DEV.replace("1000", "2000"))
    assert [await received(1) for _ in range(5)] == [1000, 1000, 1000, 1000, 2000]
    net.write_text(NET_DEV.replace("1000", "3000"))
    assert await received(1) == 2000
    used = next(tree.groups.rglob(cpu))
    used.write_text(used.read_text().replace("5", "6"))
    assert await received(1) == 3000
    files.rest()


async def test_a_text_of_several_pages(tmp_path: Path) -> None:
    """A container of many networks: none is forgotten."""
    tree = GroupTree(tmp_path, version=2)
    web = tree.add(WEB)
    head, _, line = NET_DEV.strip().rsplit("\n", 2)
    lines = [line.replace("eth0", f"eth{number}") for number in range(100)]
    (tree.proc_of(web) / "net/dev").write_text("\n".join([head, *lines, ""]))
    files = source(tree)
    assert (await files.read([web]))[WEB].network_rx_bytes == 100 * 1000
    files.rest()


async def test_a_limit_that_is_changed(tmp_path: Path) -> None:
    """It is noticed a little later."""
    tree = GroupTree(tmp_path, version=2)
    web = tree.add(WEB)
    files = source(tree)
    await files.read([web])
    next(tree.groups.rglob("memory.max")).write_text("4096\n")
    await asyncio.sleep(11)
    assert (await files.read([web]))[WEB].memory_limit_bytes == 4096
    files.rest()


# What cannot be read


async def test_one_that_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The others are; of it is said why, once."""
    caplog.set_level(logging.INFO)
    tree = GroupTree(tmp_path, version=2)
    web, db = tree.add(WEB), tree.add(DB)
    next(tree.groups.rglob(f"*{WEB}*/cpu.stat")).write_text("usage_usec many\n")
    files = source(tree)
    for _ in range(3):
        assert await told(files, web, db) == [DB]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("the figures of aaaa cannot be read: ")
    files.rest()


async def test_nobody_can_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """That is not for us to say a hundred times."""
    caplog.set_level(logging.INFO)
    tree = GroupTree(tmp_path, version=2)
    web = tree.add(WEB, shown="/elsewhere")
    assert await told(source(tree), web) == []
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (["proc"], "-v /proc:{root}/proc:ro would make it cheaper"),
        (["sys"], "-v /sys/fs/cgroup:{root}/sys/fs/cgroup:ro would make it cheaper"),
        (
            ["proc", "sys"],
            "-v /proc:{root}/proc:ro -v /sys/fs/cgroup:{root}/sys/fs/cgroup:ro would make it cheaper",
        ),
    ],
)
def test_mounts_that_are_missing(tmp_path: Path, gone: list[str], said: str) -> None:
    """In a container it is said which would help."""
    tree = GroupTree(tmp_path, version=2)
    for name in gone:
        shutil.rmtree(tmp_path / name)
    assert source(tree, own_id=OWN).obstacle().endswith(said.format(root=tmp_path))
    assert "-v" not in source(tree).obstacle()


def test_a_mixture_counts_as_version_1(tmp_path: Path) -> None:
    """Version 2 is mounted beside, and knows no memory."""
    tree = GroupTree(tmp_path, version=1)
    (tree.groups / "unified").mkdir()
    (tree.groups / "unified/cgroup.controllers").write_text("")
    assert source(tree).version == 1
