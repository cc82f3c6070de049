"""The live view: the newest figures of every container and of the host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agent.hub.host import Host
from agent.hub.shapes import SHORT_ID_LENGTH, Dropped, HostFigures, Sample, read

HOST_FIGURES_LAST_S = 10.0


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest sample of a container, which came at `at` (loop time in seconds) as the `count`th.

    The rate is over received and sent, between the last two samples and by the server's clock.
    """

    at: float
    sample: Sample
    network_bytes_per_s: float
    count: int


@dataclass(frozen=True, slots=True)
class HostMetrics:
    """What the UI shows of a host, in percent of the whole machine, and who said so."""

    cpu_percent: float
    mem_percent: float
    net_bytes_per_s: float
    source: Literal["agent", "containers"]


class Metrics:
    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self._hosts = hosts
        self._latest: dict[str, dict[str, Latest]] = {}
        self._figures: dict[str, tuple[float, HostFigures]] = {}

    def take_sample(self, host: Host, payload: Any) -> None:
        """It stays until the next one comes, even if its container is long gone."""
        sample = read(Sample, payload)
        now = asyncio.get_running_loop().time()
        known = self._latest.setdefault(host.id, {})
        before = known.get(sample.container_id)
        rate = _rate(before, sample, now) if before else 0.0
        count = before.count + 1 if before else 1
        known[sample.container_id] = Latest(now, sample, rate, count)

    def take_figures(self, host: Host, message: Any) -> None:
        if "stats" not in message:
            raise Dropped("`stats` is missing")
        figures = read(HostFigures, message["stats"])
        self._figures[host.id] = asyncio.get_running_loop().time(), figures

    def containers(self, host_id: str) -> dict[str, Latest]:
        """By ID, in order of their first samples."""
        return dict(self._latest.get(host_id, {}))

    def container(self, host_id: str, container_id: str) -> Latest | None:
        """None: it never had a sample. `container_id` in any length."""
        return self._latest.get(host_id, {}).get(container_id[:SHORT_ID_LENGTH])

    def host(self, host_id: str) -> HostMetrics:
        """The agent's own figures for ten seconds, then what its containers add up to."""
        if figures := self._fresh_figures(host_id):
            return HostMetrics(
                figures.cpu_percent, figures.mem_percent, figures.net_bytes_per_sec, "agent"
            )
        facts = self._hosts[host_id].facts
        latest = self._latest.get(host_id, {}).values()
        cpu_percent = sum(each.sample.cpu_percent for each in latest)
        memory_bytes = sum(each.sample.memory_usage for each in latest)
        memory_total = facts.get("total_memory")
        return HostMetrics(
            cpu_percent=cpu_percent / (facts.get("num_cpus") or 1),
            mem_percent=100 * memory_bytes / memory_total if memory_total else 0.0,
            net_bytes_per_s=sum(each.network_bytes_per_s for each in latest),
            source="containers",
        )

    def _fresh_figures(self, host_id: str) -> HostFigures | None:
        if (found := self._figures.get(host_id)) is None:
            return None
        at, figures = found
        age_s = asyncio.get_running_loop().time() - at
        return figures if age_s < HOST_FIGURES_LAST_S else None


def _rate(before: Latest, sample: Sample, now: float) -> float:
    """Bytes per second; counters that went backwards began anew."""
    received = sample.network_rx - before.sample.network_rx
    sent = sample.network_tx - before.sample.network_tx
    elapsed_s = now - before.at
    if min(received, sent) < 0 or elapsed_s <= 0:
        return 0.0
    return (received + sent) / elapsed_s
