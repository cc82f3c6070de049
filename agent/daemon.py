"""The agent as a process: settings in, adapters made, signals heard, an exit status out."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import ssl
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from agent import __version__, exit_codes, logs, settings
from agent.adapters import token_file
from agent.adapters.beat import Watchdog, health_socket
from agent.adapters.engine.client import DockerEngine
from agent.adapters.engine.endpoint import Endpoint, EndpointError
from agent.adapters.host import LinuxHost
from agent.adapters.launcher_link import LauncherLink, launcher_link
from agent.adapters.native_release import fetch as fetch_release
from agent.adapters.no_update import NoSelfUpdate
from agent.adapters.own_container import find_own_container
from agent.adapters.registry_logins import login_from
from agent.adapters.release_slots import ReleaseSlots
from agent.adapters.store import SqliteStore
from agent.adapters.websocket import WebSocketServer, tls_context
from agent.assembly import Agent, MakeSelfUpdate, Ports, assemble
from agent.clock import utcnow
from agent.core.backoff import Backoff
from agent.core.launch import NoLaunch
from agent.core.machine import StopRequested
from agent.core.own_container import no_volume
from agent.core.release_manifest import WRITES_SCHEMA
from agent.equipment import equipped
from agent.features.catalogue import Equipment, catalogue
from agent.features.self_update import SelfUpdates, UpdateTools
from agent.ports import DialFailed, EngineError, Json, ReleaseRefused, StoreError
from agent.runtime.registrar import Presentation
from agent.runtime.starting import Starting

OWN_INSPECT_S = 5.0

STOP_S = 5.0
"""`docker stop` waits ten seconds before it kills. What has not ended by half of that is cut off."""

KEYS_DIR = Path("/opt/dockmon-agent/keys")
"""Where the root public keys are, if the launcher does not say."""

NO_LAUNCHER = (
    "the agent was not started by its launcher: start the image without a command of your own, "
    "then it can replace itself; until then pull the new image and recreate the container"
)

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
    try:
        link = launcher_link(environ)
    except (NoLaunch, OSError) as error:
        log.warning("what the launcher told cannot be read, so nothing is updated: %s", error)
        link = None
    agent = _Daemon(environ, chosen, redactor, tls, endpoint, link)
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
        link: LauncherLink | None,
    ) -> None:
        self._link = link
        self._environ, self._settings, self._redactor = environ, chosen, redactor
        self._tls, self._endpoint = tls, endpoint
        self._watchdog = Watchdog(
            about=_about(link), heartbeat=link.heartbeat if link is not None else lambda: None
        )
        self._starting = Starting(self._watchdog)
        self._agent: Agent | None = None

    async def main(self) -> int:
        chosen = self._settings
        engine, store = DockerEngine(self._endpoint), SqliteStore(chosen.data_path)
        try:
            # First of all: the launcher waits 40 s for a heartbeat, and what follows may take longer.
            await self._be_heard()
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
            self._be_silent()
            await engine.close()
            await store.close()
        log.info("stopped")
        return exit_codes.STOPPED

    async def _be_heard(self) -> None:
        """From here on signals, and the end of the launcher, are heeded, and there are signs of life."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stop, signal.Signals(signum).name)
        if self._link is not None:
            await self._link.open(lambda: self._stop("the launcher has gone"))
        self._starting.begin()

    def _be_silent(self) -> None:
        self._starting.end()
        self._watchdog.stop()
        if self._link is not None:
            self._link.close()

    def _stop(self, why: str) -> None:
        if self._agent is None:
            log.info("stopped while starting: %s", why)
            os._exit(exit_codes.STOPPED)  # nothing is under way yet
        _end_by_force(asyncio.get_running_loop())
        self._agent.runtime.post(StopRequested(why))

    async def _run(self, engine: DockerEngine, store: SqliteStore, equipment: Equipment) -> None:
        own = await _inspected(engine, equipment)
        update = await self._updates(equipment, own)
        name = str(own.get("Name") or "").removeprefix("/")
        self._agent = agent = self._assemble(engine, store, equipment, update, name)
        # What is here stays: each full collection would look through all of it again, on the loop, for 15 ms or more.
        gc.collect()
        gc.freeze()
        try:
            async with health_socket(self._watchdog):
                self._starting.end()
                await agent.runtime.run()
        finally:
            self._be_silent()

    async def _updates(self, equipment: Equipment, own: Json) -> MakeSelfUpdate:
        """What can be updated here; if nothing can, that is said once."""
        link, chosen = self._link, self._settings
        if link is None:
            log.info("the agent does not update itself: %s", NO_LAUNCHER)
            return lambda *_: NoSelfUpdate(NO_LAUNCHER)
        launch = link.launch
        if launch.update_dir is None:
            why = launch.why_no_updates or "there is no volume for releases"
            log.warning("the agent does not update itself: %s", why)
            return lambda *_: NoSelfUpdate(
                f"{why}; or pull the new image and recreate the container"
            )
        releases = ReleaseSlots(
            Path(launch.update_dir),
            Path(launch.keys_dir) if launch.keys_dir else KEYS_DIR,
            launcher_api=launch.launcher_api,
            security_floor=launch.security_floor,
            schema=WRITES_SCHEMA,
            environ=self._environ,
            fetch=partial(fetch_release, ca_cert=chosen.ca_cert),
        )
        try:
            why = (
                launch.why_no_updates
                or await releases.obstacle()
                or no_volume(own, launch.update_dir)
            )
        except ReleaseRefused as refused:
            why = str(refused)
        if why:
            log.warning("the agent does not update itself: %s", why)
        elif equipment.own is None:
            log.info("self_update is reported false: this agent does not run in a container")
        tools = UpdateTools(
            launcher=link,
            releases=releases,
            own=equipment.own,
            repositories=chosen.update_repositories,
            login=login_from(chosen.update_registry_auth_file, self._redactor.learn),
            why_not=why,
        )
        return lambda services, at_work, post: SelfUpdates(services, tools, at_work, post)

    def _assemble(
        self,
        engine: DockerEngine,
        store: SqliteStore,
        equipment: Equipment,
        update: MakeSelfUpdate,
        name: str,
    ) -> Agent:
        chosen, tls = self._settings, self._tls
        return assemble(
            Ports(
                server=WebSocketServer(chosen.agent_ws_url, tls=tls),
                history=lambda token: WebSocketServer(chosen.stats_ws_url, tls=tls, bearer=token),
                engine=engine,
                store=store,
                host=LinuxHost(contained=equipment.own is not None),
                update=update,
                beat=self._watchdog,
                clock=utcnow,
                rng=random.Random(),  # noqa: S311  jitter, no secret
                launcher=self._link,
                own=(equipment.own.id if equipment.own is not None else "", name),
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


def _about(link: LauncherLink | None) -> dict[str, object]:
    """For whoever asks how we are: what runs, and what the image brought."""
    if link is None:
        return {"version": __version__}
    running, baked = link.launch.running, link.launch.baked
    return {
        "version": __version__,
        "baked_version": baked.version,
        "slot": running.build_id if running.source == "slot" else None,
        "on_trial": running.on_trial,
    }


async def _inspected(engine: DockerEngine, equipment: Equipment) -> Json:
    """The container we run in; empty natively, or where the engine does not say."""
    if equipment.own is None:
        return {}
    try:
        return await engine.inspect_container(equipment.own.id, deadline_s=OWN_INSPECT_S)
    except EngineError:
        return {}


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
