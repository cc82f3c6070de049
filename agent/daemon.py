"""The agent as a process: settings in, adapters made, signals heard, an exit status out."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

from agent import __version__, exit_codes, logs, settings
from agent.adapters import token_file
from agent.adapters.beat import Watchdog, health_socket
from agent.adapters.engine.client import DockerEngine
from agent.adapters.engine.endpoint import Endpoint, EndpointError
from agent.adapters.host import LinuxHost
from agent.adapters.no_update import NoSelfUpdate
from agent.adapters.own_container import find_own_container
from agent.adapters.store import SqliteStore
from agent.adapters.websocket import WebSocketServer, tls_context
from agent.assembly import Agent, Ports, assemble
from agent.clock import utcnow
from agent.core.backoff import Backoff
from agent.core.machine import StopRequested
from agent.equipment import equipped
from agent.features.catalogue import Equipment, catalogue
from agent.ports import DialFailed, StoreError
from agent.runtime.registrar import Presentation

STOP_S = 5.0
"""`docker stop` waits ten seconds before it kills. What has not ended by half of that is cut off."""

log = logging.getLogger("agent")


def run(environ: Mapping[str, str]) -> int:
    """Runs until a signal says stop; returns the exit status. Settings that cannot work are told in one line."""
    try:
        loaded = settings.load(environ)
        chosen = loaded.settings
        _demand_a_token(environ, chosen)
        tls = tls_context(chosen.ca_cert, skip_verify=chosen.insecure_skip_verify)
        endpoint = Endpoint.parse(
            chosen.engine_url(Path.exists),
            cert_path=chosen.docker_cert_path,
            verify=chosen.docker_tls_verify,
        )
    except (settings.SettingsError, DialFailed, EndpointError, StoreError) as error:
        print(f"dockmon-agent: {error}", file=sys.stderr)
        return exit_codes.CONFIG
    redactor = logs.configure(chosen.log_level, chosen.log_json, sys.stderr)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    logs.fact(log, logging.INFO, "DockMon agent starts", version=__version__, server=chosen.url)
    agent = _Daemon(environ, chosen, redactor, tls, endpoint)
    try:
        return asyncio.run(agent.main())
    except ExceptionGroup as defects:
        # The runtime contains what features and adapters do wrong, so this is its own fault: start afresh.
        log.critical("the runtime failed; the process ends", exc_info=defects)
        return exit_codes.DEFECT


class _Daemon:
    def __init__(
        self,
        environ: Mapping[str, str],
        chosen: settings.Settings,
        redactor: logs.Redactor,
        tls: ssl.SSLContext,
        endpoint: Endpoint,
    ) -> None:
        self._environ, self._settings, self._redactor = environ, chosen, redactor
        self._tls, self._endpoint = tls, endpoint

    async def main(self) -> int:
        chosen = self._settings
        engine, store = DockerEngine(self._endpoint), SqliteStore(chosen.data_path)
        try:
            own = await find_own_container(engine, hostname=self._environ.get("HOSTNAME", ""))
            async with equipped(
                engine,
                self._endpoint,
                own,
                environ=self._environ,
                data_path=chosen.data_path,
                stacks_dir=chosen.stacks_dir,
                host_stacks_dir=chosen.host_stacks_dir,
                stats_interval_s=chosen.stats_interval_s,
            ) as equipment:
                await self._run(engine, store, equipment)
        finally:
            _end_by_force(asyncio.get_running_loop())
            await engine.close()
            await store.close()
        log.info("stopped")
        return exit_codes.STOPPED

    async def _run(self, engine: DockerEngine, store: SqliteStore, equipment: Equipment) -> None:
        watchdog = Watchdog()
        agent = self._assemble(engine, store, equipment, watchdog)
        loop = asyncio.get_running_loop()

        def stop(name: str) -> None:
            _end_by_force(loop)
            agent.runtime.post(StopRequested(name))

        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop, signal.Signals(signum).name)
        try:
            async with health_socket(watchdog):
                await agent.runtime.run()
        finally:
            watchdog.stop()

    def _assemble(
        self, engine: DockerEngine, store: SqliteStore, equipment: Equipment, watchdog: Watchdog
    ) -> Agent:
        chosen, tls = self._settings, self._tls
        return assemble(
            Ports(
                server=WebSocketServer(chosen.agent_ws_url, tls=tls),
                history=lambda token: WebSocketServer(chosen.stats_ws_url, tls=tls, bearer=token),
                engine=engine,
                store=store,
                host=LinuxHost(contained=equipment.own is not None),
                update=NoSelfUpdate(),
                beat=watchdog,
                clock=utcnow,
                rng=random.Random(),  # noqa: S311  jitter, no secret
            ),
            Presentation(
                version=__version__,
                proto_version=chosen.proto_version,
                agent_name=chosen.agent_name or "",
                force_unique=chosen.force_unique_registration,
            ),
            backoff=Backoff(chosen.reconnect_initial_s, chosen.reconnect_max_s),
            credentials=lambda: settings.read_credentials(self._environ),
            features=lambda services, history: catalogue(services, equipment, history),
            learn=self._redactor.learn,
        )


def _end_by_force(loop: asyncio.AbstractEventLoop) -> None:
    """Whatever hangs then, a name lookup, a thread, a disk: Docker would kill us a little later anyway."""
    loop.call_later(STOP_S, os._exit, exit_codes.STOPPED)


def _demand_a_token(environ: Mapping[str, str], chosen: settings.Settings) -> None:
    """A file that has no token yet may get one; where none can ever come from, there is nothing to wait for."""
    promised = "REGISTRATION_TOKEN_FILE" in environ or "PERMANENT_TOKEN_FILE" in environ
    if chosen.registration_token or chosen.permanent_token or promised:
        return
    if not token_file.read(chosen.data_path):
        raise settings.SettingsError(
            "REGISTRATION_TOKEN is not set, and there is no token in "
            f"{chosen.data_path / token_file.FILE_NAME} either: create one on the server (Add Host, Agent)"
        )
