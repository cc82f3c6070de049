"""Everything the server can ask of this release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.core.own_container import OwnContainer
from agent.features.claims import Claims
from agent.features.compose import Deployments
from agent.features.compose_discovery import discovery
from agent.features.container_update import ContainerUpdates
from agent.features.health_checks import HealthChecks
from agent.features.images import images
from agent.features.inspections import Inspections
from agent.features.inventory import Inventory
from agent.features.logs import get_logs
from agent.features.networks import network_operations, networks
from agent.features.operations import operations
from agent.features.ports_check import validate_ports
from agent.features.self_update import self_update
from agent.features.shell import Shells
from agent.features.system_info import get_system_info
from agent.features.telemetry import TICK_S, Telemetry
from agent.features.volumes import volume_operations, volumes
from agent.ports import (
    Compose,
    ComposeFiles,
    EngineFacts,
    Features,
    HostMeter,
    HttpProbe,
    Json,
    SampleSink,
    Services,
    Stacks,
    StatsSource,
)


@dataclass(frozen=True, slots=True)
class ComposeTools:
    """Docker Compose as it is here.

    Attributes:
        program: None if there is none that can be worked with.
        stacks: Where projects are deployed to.
        why_not: Why deployments were impossible when the agent started, for users; "" if they were not.
        host_stacks_dir: The directory of `stacks` as the engine's host sees it, if somebody told us.
    """

    program: Compose | None
    stacks: Stacks
    why_not: str = ""
    host_stacks_dir: str | None = None


@dataclass(frozen=True, slots=True)
class Equipment:
    """What this host has beside its engine.

    Attributes:
        own: The container we run in; None natively.
        home: The home directory of the user we run as.
        stats_interval_s: From one look at what containers use to the next, where nothing needs more time.
    """

    stats: StatsSource
    meter: HostMeter
    http: HttpProbe
    compose: ComposeTools
    compose_files: ComposeFiles
    home: str
    own: OwnContainer | None = None
    stats_interval_s: float = TICK_S


def catalogue(services: Services, equipment: Equipment, history: SampleSink) -> Features:
    """The features of an agent that looks after `services.engine`. `history` gets every sample as well."""
    engine, own = services.engine, equipment.own
    inspections = Inspections(engine)
    inventory = Inventory(engine, inspections)
    claims = Claims()
    updates = ContainerUpdates(services, own=own, claims=claims)
    deployments = Deployments(
        services,
        equipment.compose.program,
        equipment.compose.stacks,
        why_not=equipment.compose.why_not,
        own=own,
        host_stacks_dir=equipment.compose.host_stacks_dir,
    )
    services.detach(deployments.recover(), "interrupted deployments")
    shells = Shells(engine, services.channel, clock=services.clock, detach=services.detach)
    checks = HealthChecks(equipment.http, services.channel, clock=services.clock, rng=services.rng)
    telemetry = Telemetry(
        engine,
        inspections,
        services.channel,
        equipment.stats,
        equipment.meter,
        services.clock,
        interval_s=equipment.stats_interval_s,
        stats_link=history,
    )

    def capabilities(facts: EngineFacts | None) -> Mapping[str, bool]:
        forbidden = facts.forbids if facts else frozenset[str]()
        return {
            "container_operations": "containers" not in forbidden,
            "container_updates": not forbidden & {"containers", "images"},
            "event_streaming": True,
            "stats_collection": True,
            "shell_access": "exec" not in forbidden,
            **deployments.capabilities(),
        }

    def notice(event: Json) -> None:
        inspections.notice(event)
        inventory.invalidate(event)
        telemetry.notice(event)

    def engine_came_back() -> None:
        inventory.engine_came_back()
        events_were_missed()
        updates.engine_came_back()

    def events_were_missed() -> None:
        inspections.events_were_missed()
        inventory.events_were_missed()
        telemetry.events_were_missed()

    return Features(
        commands=[
            inventory.handler(),
            updates.handler(),
            *images(engine),
            *networks(engine, own),
            *volumes(engine),
            get_system_info(engine),
            *deployments.handlers(),
            *discovery(equipment.compose_files, home=equipment.home),
            self_update(services.self_update),
        ],
        operations=[
            *operations(engine, own, detach=services.detach, claims=claims),
            get_logs(engine),
            *network_operations(engine),
            *volume_operations(engine),
            validate_ports(engine),
        ],
        listeners={"shell_session": shells.listener, **checks.listeners()},
        resources={"health_checks": checks, "shells": shells, "telemetry": telemetry},
        capabilities=capabilities,
        notice=notice,
        engine_came_back=engine_came_back,
        events_were_missed=events_were_missed,
        engine_went_away=inventory.engine_went_away,
    )
