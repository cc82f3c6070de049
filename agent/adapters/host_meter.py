"""The host's own figures, from `/proc` and `/sys`."""

from __future__ import annotations

from pathlib import Path

from agent.core.host_stats import HostReading, cpu_ticks, memory_bytes
from agent.core.host_traffic import carriers, carriers_by_name, may_carry, traffic_bytes

FILE_BYTES = 256 * 1024
"""`/proc/net/dev` has a line for each container. The other files are much smaller."""

CARRYING = ("up", "unknown")
"""Drivers that do not keep `operstate` say "unknown"."""


class LinuxHostMeter:
    """`agent.ports.HostMeter`, natively or in a container that was given the host's `/proc`, and better `/sys` as well.

    Args:
        contained: Whether we run in a container: its own `/proc` and `/sys` would tell of it and not of the host.
        root: Where the host's directories are; None for the usual place.
    """

    def __init__(self, *, contained: bool, root: Path | None = None) -> None:
        root = root or Path("/host" if contained else "/")
        self._proc, self._net = root / "proc", root / "sys/class/net"

    def read(self) -> HostReading | None:
        try:
            ticks = cpu_ticks(_text(self._proc / "stat"))
            total_bytes, available_bytes = memory_bytes(_text(self._proc / "meminfo"))
            traffic = self._from_sys() if self._net.is_dir() else self._from_proc()
        except OSError:
            return None
        return HostReading(ticks, total_bytes, available_bytes, traffic)

    def _from_sys(self) -> dict[str, int]:
        candidates, transferred = {}, {}
        for name in filter(may_carry, _names(self._net)):
            directory = self._net / name
            try:
                if _text(directory / "operstate").strip() in CARRYING:
                    transferred[name] = sum(
                        int(_text(directory / "statistics" / counter))
                        for counter in ("rx_bytes", "tx_bytes")
                    )
                    candidates[name] = _names(directory)
            except OSError:
                continue  # it is gone, or no interface: `bonding_masters`
        return {name: transferred[name] for name in carriers(candidates)}

    def _from_proc(self) -> dict[str, int]:
        # Without a process `net` means ours, and that may be a container's; the host's first process is not in one.
        net = self._proc / "1/net"
        transferred = dict(traffic_bytes(_text(net / "dev")))
        stacked = {*_names(net / "vlan"), *_names(net / "bonding")}
        return {name: transferred[name] for name in carriers_by_name(transferred, stacked)}


def _names(directory: Path) -> list[str]:
    """The entries of `directory`; none if there is no such thing on this host."""
    try:
        return [entry.name for entry in directory.iterdir()]
    except OSError:
        return []


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(FILE_BYTES).decode("ascii", "replace")
