"""Puts the agent together from its ports. Real ones make a daemon, fakes make a scenario."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Callable
from dataclasses import dataclass

from agent.core.backoff import Backoff
from agent.core.chart import Chart
from agent.core.engine_watch import EngineWatch
from agent.core.identity import Identity
from agent.core.lifecycle import Lifecycle, UpdateRequest
from agent.core.machine import Event
from agent.core.stats_link import StatsLink as StatsLinkMachine
from agent.features import self_update
from agent.ports import (
    AtWork,
    Beat,
    Clock,
    Engine,
    Features,
    Host,
    Json,
    Launcher,
    SampleSink,
    SelfUpdate,
    Server,
    Services,
    Store,
)
from agent.runtime.at_work import AtWork as AtWorkHere
from agent.runtime.delivery import Delivery
from agent.runtime.dispatcher import Dispatcher
from agent.runtime.engine_activities import EngineActivities
from agent.runtime.engine_status import EngineStatus
from agent.runtime.event_buffer import EventBuffer
from agent.runtime.proving import Proving
from agent.runtime.region import Region
from agent.runtime.registrar import Credentials, Presentation, Registrar
from agent.runtime.reporter import Reporter
from agent.runtime.runtime import Runtime
from agent.runtime.session import Session
from agent.runtime.stats_link import StatsLink
from agent.runtime.vacant import Vacant

MakeSelfUpdate = Callable[[Services, AtWork, Callable[[Event, str | None], None]], SelfUpdate]
"""Given what features may use, what is under way, and a way to tell charts (by name; None: all of them)."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The world, as far as the agent needs it.

    Attributes:
        server: Where the session is.
        history: Makes the endpoint that takes statistics, given the token to show there.
        launcher: Who started us; None where nobody did.
        own: ID and name of the container we run in; both "" natively.
    """

    server: Server
    history: Callable[[str], Server]
    engine: Engine
    store: Store
    host: Host
    update: MakeSelfUpdate
    beat: Beat
    clock: Clock
    rng: random.Random
    launcher: Launcher | None = None
    own: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Agent:
    """Everything that outlives a state, wired up and not yet running."""

    runtime: Runtime
    session: Session
    dispatcher: Dispatcher
    delivery: Delivery
    status: EngineStatus


def assemble(
    ports: Ports,
    presentation: Presentation,
    *,
    backoff: Backoff,
    credentials: Callable[[], Credentials],
    features: Callable[[Services, SampleSink], Features],
    learn: Callable[[str], None] = lambda _: None,
    strict: bool = False,
) -> Agent:
    """Wires one agent.

    Args:
        credentials: Reads the operator's tokens anew.
        features: Makes the features from what they may work with, and where samples go besides the session.
        learn: Told each secret before it is used.
        strict: Raise what a chart refuses, as tests want it.
    """
    runtime = Runtime(beat=ports.beat, strict=strict)
    session = Session(ports.server)
    status = EngineStatus()
    delivery = Delivery(session, ports.store, clock=ports.clock)
    history = StatsLink(ports.history)

    async def begin_update(request: UpdateRequest) -> Json:
        return await begin(request)

    services = Services(
        engine=ports.engine,
        store=ports.store,
        channel=session,
        clock=ports.clock,
        rng=_own(ports.rng),
        detach=runtime.detach,
        conduct=runtime.conduct,
        news=delivery.journalled,
        self_update=begin_update,
    )
    made = features(services, history)
    dispatcher = Dispatcher(
        session,
        ports.store,
        commands=made.commands,
        operations=made.operations,
        listeners=made.listeners,
        detach=runtime.detach,
        clock=ports.clock,
        answered=lambda command_id: update.answered(command_id),
    )

    def welcomed(identity: Identity) -> None:
        history.welcomed(identity)
        update.registered()

    registrar = Registrar(
        session,
        ports.store,
        status,
        ports.host,
        dispatcher,
        presentation,
        capabilities=lambda facts: {
            **made.capabilities(facts),
            "self_update": update.available,
        },
        credentials=credentials,
        learn=learn,
        welcomed=welcomed,
    )
    lifecycle = Region(
        Lifecycle(Chart.load("lifecycle"), backoff=backoff, rng=ports.rng),
        activities={
            "await_reason": registrar.await_reason,
            "register": registrar.register,
            "stay": registrar.stay,
            "await_retry": registrar.await_retry,
            "follow_update": lambda request: update.follow(request),
        },
        resources={
            "session": session,
            "event_stream": delivery,
            "commands": dispatcher,
            **made.resources,
            "self_update": Vacant(),
        },
    )
    buffer = EventBuffer(ports.engine, notice=made.notice)
    watching = EngineActivities(
        ports.engine,
        ports.store,
        buffer,
        status,
        journalled=delivery.journalled,
        came_back=made.engine_came_back,
        missed=made.events_were_missed,
        went_away=made.engine_went_away,
        clock=ports.clock,
        rng=ports.rng,
    )
    engine = Region(
        EngineWatch(Chart.load("engine"), rng=ports.rng),
        activities=watching.by_name(),
        resources={"event_reader": buffer},
    )
    statistics = Region(
        StatsLinkMachine(Chart.load("stats_link"), rng=_own(ports.rng)),
        activities=history.by_name(),
        resources={"stats_socket": history},
    )
    for region in (lifecycle, engine, statistics):
        runtime.add(region)
    at_work = AtWorkHere(runtime, session, dispatcher, delivery, status)
    update = ports.update(services, at_work, lambda event, chart: runtime.post(event, chart=chart))
    begin = self_update.begin(update, lambda event: runtime.post(event, chart="lifecycle"))
    runtime.observe(Reporter().observe)
    if ports.launcher is not None:
        proving = Proving(
            ports.launcher,
            ports.store,
            own=ports.own,
            clock_s=asyncio.get_running_loop().time,
            detach=runtime.detach,
            news=delivery.journalled,
        )
        runtime.observe(proving.observe)
    return Agent(runtime, session, dispatcher, delivery, status)


def _own(rng: random.Random) -> random.Random:
    """Draws for itself from here on, so that one chart's delays are not shifted by what another happens to do."""
    return copy.copy(rng)
