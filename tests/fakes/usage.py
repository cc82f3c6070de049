"""A container's counters in memory, as the engine's stats tell them (control groups v1)."""

from __future__ import annotations

from dataclasses import dataclass

from fakes.box import NEVER, Box

from agent.clock import utcnow
from agent.core.rfc3339 import rfc3339
from agent.ports import Json


@dataclass(slots=True)
class Usage:
    """What a container has used since it started; a test moves the figures on."""

    cpu_ns: int = 0
    system_cpu_ns: int = 0
    cpus: int = 4
    memory_bytes: int = 1 << 20
    inactive_file_bytes: int = 0
    memory_limit_bytes: int = 8 << 30
    rx_bytes: int = 0
    tx_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0

    def stats(self, box: Box) -> Json:
        """One look, which has no second one to compare with; of a container that does not run it says nothing."""
        about = {"id": box.id, "name": f"/{box.name}", "preread": NEVER, "precpu_stats": {}}
        if not box.running:
            nothing = {"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}
            return {**about, **nothing, "read": NEVER, "blkio_stats": {}}
        blkio = [
            {"major": 8, "minor": 0, "op": "Read", "value": self.read_bytes},
            {"major": 8, "minor": 0, "op": "Write", "value": self.written_bytes},
        ]
        return {
            **about,
            "read": rfc3339(utcnow()),
            "cpu_stats": {
                "cpu_usage": {"total_usage": self.cpu_ns},
                "system_cpu_usage": self.system_cpu_ns,
                "online_cpus": self.cpus,
            },
            "memory_stats": {
                "usage": self.memory_bytes,
                "limit": self.memory_limit_bytes,
                "stats": {"total_inactive_file": self.inactive_file_bytes},
            },
            "networks": {"eth0": {"rx_bytes": self.rx_bytes, "tx_bytes": self.tx_bytes}},
            "blkio_stats": {"io_service_bytes_recursive": blkio},
        }
