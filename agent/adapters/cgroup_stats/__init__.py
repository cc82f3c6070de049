"""Container figures from the kernel's control groups: a few small reads each, and nothing asked of the engine."""

from __future__ import annotations

from agent.adapters.cgroup_stats.source import CgroupStats

__all__ = ["CgroupStats"]
