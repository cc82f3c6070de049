"""What the host offers beside its engine, found out when the agent starts."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from agent.adapters.cgroup_stats import CgroupStats
from agent.adapters.compose import candidates, find_compose
from agent.adapters.compose_files import LocalComposeFiles
from agent.adapters.engine import Endpoint
from agent.adapters.engine_stats import EngineStats
from agent.adapters.host_meter import LinuxHostMeter
from agent.adapters.http_probe import LazyHttpProbe
from agent.adapters.stack_files import StackFiles
from agent.adapters.switched_stats import SwitchedStats
from agent.core.own_container import OwnContainer
from agent.features.catalogue import ComposeTools, Equipment
from agent.features.telemetry import TICK_S
from agent.ports import Engine

log = logging.getLogger("agent")


@asynccontextmanager
async def equipped(
    engine: Engine,
    endpoint: Endpoint,
    own: OwnContainer | None,
    *,
    environ: Mapping[str, str],
    data_path: Path,
    stacks_dir: Path,
    host_stacks_dir: Path | None = None,
    stats_interval_s: float = TICK_S,
) -> AsyncIterator[Equipment]:
    """The real things, for the daemon and for whoever wants to see it at work.

    Args:
        endpoint: Where `engine` is.
        own: The container we run in; None natively.
        data_path: Where what Compose must not read elsewhere is kept while it runs.
        stacks_dir: Where Compose projects are deployed to.
        host_stacks_dir: The same as the engine's host sees it, if somebody told us.
        stats_interval_s: From one look at what containers use to the next.
    """
    groups = CgroupStats(contained=own is not None, own_id=own.id if own else "")
    stats = SwitchedStats(groups, EngineStats(engine))
    log.info("%s", stats.describe())
    stacks, http = StackFiles(stacks_dir), LazyHttpProbe()
    program, why_not = await find_compose(candidates(environ), endpoint, private_dir=data_path)
    why_not = why_not or await stacks.obstacle()
    if why_not:
        log.warning("Compose projects cannot be deployed: %s", why_not)
    host_path = None if host_stacks_dir is None else str(host_stacks_dir)
    try:
        yield Equipment(
            stats=stats,
            stats_interval_s=stats_interval_s,
            meter=LinuxHostMeter(contained=own is not None),
            http=http,
            compose=ComposeTools(program, stacks, why_not, host_path),
            compose_files=LocalComposeFiles(),
            home=environ.get("HOME", ""),
            own=own,
        )
    finally:
        groups.rest()
        stacks.close()
        await http.rest()
