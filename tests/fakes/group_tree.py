"""A host's `/proc` and control groups, as files. Version 2's content is from the kernel's documentation.

A file does not answer as the kernel does when a group is gone; tests/integration has that.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from agent.core.roster import Process, Run

TOTAL_BYTES = 8 << 30

V1_CONTROLLERS = ("cpu,cpuacct", "memory", "blkio")

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
    lo:     500    0    0    0    0     0          0         0      500       0    0    0    0     0       0          0
  eth0:    1000    0    0    0    0     0          0         0       70       0    0    0    0     0       0          0
"""


class GroupTree:
    """To be given as `root`. Containers are put into it, used, and taken away."""

    def __init__(self, root: Path, *, version: int) -> None:
        self.root, self.version = root, version
        self.groups = root / "sys/fs/cgroup"
        self._next_pid = 100
        (root / "proc/1").mkdir(parents=True)
        (root / "proc/1/cgroup").write_text("0::/init.scope\n")
        (root / "proc/meminfo").write_text(
            f"MemTotal:       {TOTAL_BYTES // 1024} kB\nMemFree: 1 kB\n"
        )
        if version == 2:
            self.groups.mkdir(parents=True)
            (self.groups / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        else:
            for name in V1_CONTROLLERS:
                (self.groups / name).mkdir(parents=True)

    def add(self, container_id: str, *, group: str = "", shown: str = "") -> Run:
        """A container that runs.

        Args:
            group: Where it is; by default where version's usual driver puts it.
            shown: What `/proc/<pid>/cgroup` says, if that is something else.
        """
        usual = {1: f"/docker/{container_id}", 2: f"/system.slice/docker-{container_id}.scope"}
        group = group or usual[self.version]
        self._next_pid += 1
        process = self.root / f"proc/{self._next_pid}"
        (process / "net").mkdir(parents=True)
        (process / "net/dev").write_text(NET_DEV)
        shown = shown or group
        if self.version == 2:
            (process / "cgroup").write_text(f"0::{shown}\n")
            self._make_v2(self.groups / group[1:])
        else:
            lines = [f"{at}:{name}:{shown}\n" for at, name in enumerate(V1_CONTROLLERS, 1)]
            (process / "cgroup").write_text("".join(lines))
            self._make_v1(group)
        return Run(container_id, container_id[:4], process=Process(self._next_pid, True))

    def remove(self, run: Run) -> None:
        """It and its processes are gone."""
        shutil.rmtree(self.proc_of(run))
        for group in self.groups.rglob(f"*{run.container_id}*"):
            shutil.rmtree(group)

    def proc_of(self, run: Run) -> Path:
        """The directory of its process."""
        assert run.process is not None
        return self.root / f"proc/{run.process.pid}"

    def _make_v1(self, group: str) -> None:
        cpu, memory, disk = (self.groups / name / group[1:] for name in V1_CONTROLLERS)
        for directory in (cpu, memory, disk):
            directory.mkdir(parents=True, exist_ok=True)
        (cpu / "cpuacct.usage").write_text("5000\n")
        (memory / "memory.usage_in_bytes").write_text("1000000\n")
        (memory / "memory.stat").write_text("cache 1\ntotal_cache 1\ntotal_inactive_file 4096\n")
        (memory / "memory.limit_in_bytes").write_text("9223372036854771712\n")
        table = "8:0 Read 512\n8:0 Write 1024\n8:0 Total 1536\nTotal 1536\n"
        (disk / "blkio.throttle.io_service_bytes_recursive").write_text(table)

    def _make_v2(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        (directory / "cpu.stat").write_text("usage_usec 5\nuser_usec 4\nsystem_usec 1\n")
        (directory / "memory.stat").write_text("anon 900000\nfile 8192\nactive_file 95904\n")
        (directory / "memory.max").write_text("max\n")
        (directory / "io.stat").write_text("8:0 rbytes=512 wbytes=1024 rios=1 wios=1 dbytes=0\n")
