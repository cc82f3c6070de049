"""Puts the agent together from its ports. Real ones make a daemon, fakes make a scenario."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from agent.core.backoff import Backoff
from agent.core.chart import Chart
from agent.core.engine_watch import EngineWatch
from agent.core.identity import Identity
from agent.core.lifecycle import Lifecycle
from agent.features import self_update
from agent.ports import Beat, Clock, Engine, Features, Host, SelfUpdate, Server, Store
from agent.runtime.delivery import Delivery
from agent.runtime.dispatcher import Dispatcher
from agent.runtime.engine_activities import EngineActivities
from agent.runtime.engine_status import EngineStatus
from agent.runtime.event_buffer import EventBuffer
from agent.runtime.region import Region
from agent.runtime.registrar import Credentials, Presentation, Registrar
from agent.runtime.reporter import Reporter
from agent.runtime.runtime import Runtime
from agent.runtime.session import Session
from agent.runtime.vacant import Vacant


@dataclass(frozen=True, slots=True)
class Ports:
    """The world, as far as the agent needs it."""

    server: Server
    engine: Engine
    store: Store
    host: Host
    update: SelfUpdate
    beat: Beat
    clock: Clock
    rng: random.Random


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
    features: Callable[[Runtime], Features],
    learn: Callable[[str], None] = lambda _: None,
    welcomed: Callable[[Identity], None] = lambda _: None,
    strict: bool = False,
) -> Agent:
    """Wires one agent.

    Args:
        credentials: Reads the operator's tokens anew.
        features: Makes the features; they may start jobs on the runtime they are given.
        learn: Told each secret before it is used.
        welcomed: Told the identity after each registration.
        strict: Raise what a chart refuses, as tests want it.
    """
    runtime = Runtime(beat=ports.beat, strict=strict)
    made = features(runtime)
    session = Session(ports.server)
    status = EngineStatus()
    delivery = Delivery(session, ports.store, clock=ports.clock)

    update = self_update.handler(ports.update, lambda event: runtime.post(event, chart="lifecycle"))
    dispatcher = Dispatcher(
        session,
        ports.store,
        commands=[*made.commands, update],
        operations=made.operations,
        listeners=made.listeners,
        detach=runtime.detach,
        clock=ports.clock,
    )
    registrar = Registrar(
        session,
        ports.store,
        status,
        ports.host,
        dispatcher,
        presentation,
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
            "follow_update": ports.update.follow,
        },
        resources={
            "session": session,
            "event_stream": delivery,
            "commands": dispatcher,
            "telemetry": Vacant(),
            "health_checks": Vacant(),
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
        clock=ports.clock,
        rng=ports.rng,
    )
    engine = Region(
        EngineWatch(Chart.load("engine"), rng=ports.rng),
        activities=watching.by_name(),
        resources={"event_reader": buffer},
    )
    runtime.add(lifecycle)
    runtime.add(engine)
    runtime.observe(Reporter().observe)
    return Agent(runtime, session, dispatcher, delivery, status)
