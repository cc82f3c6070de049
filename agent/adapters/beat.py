"""The watchdog: ends the process if its loop stalls, and tells whoever asks that it does not."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

STALLED_AFTER_S = 30
"""A loop that has not moved for this long will not move again. The container's restart policy does the rest."""

HEALTH_SOCKETS = (
    Path("/run/dockmon-agent/health.sock"),
    Path("/run/dockmon-agent.sock"),
    Path("/tmp/dockmon-agent-health.sock"),  # noqa: S108  whoever binds it first answers for this machine only
)
"""Tried in this order: the first directory belongs to the image, the second is root's, the third is for all others."""

log = logging.getLogger("agent.health")


class Watchdog:
    """The `Beat` port. Between two pulses the standard library's `faulthandler` counts, on a thread of its own.

    Args:
        stalled_after_s: Whole seconds without a pulse after which every thread's stack is told and the process ends.
        about: What else whoever asks is told of us.
        heartbeat: Called with each pulse.
    """

    def __init__(
        self,
        *,
        stalled_after_s: int = STALLED_AFTER_S,
        about: Mapping[str, object] | None = None,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        self._stalled_after_s = stalled_after_s
        self._about, self._heartbeat = dict(about or {}), heartbeat
        self._states: Mapping[str, str] = {}
        self._pulsed_s = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    def pulse(self, states: Mapping[str, str]) -> None:
        faulthandler.dump_traceback_later(self._stalled_after_s, exit=True)
        self._loop = asyncio.get_running_loop()
        self._states, self._pulsed_s = states, self._loop.time()
        self._heartbeat()

    def stop(self) -> None:
        faulthandler.cancel_dump_traceback_later()

    def health(self) -> dict[str, object]:
        """Alive means that the charts still decide; whether the server is reachable is another question."""
        age_s = self._loop.time() - self._pulsed_s if self._loop is not None else None
        alive = age_s is not None and age_s < self._stalled_after_s
        return {
            "alive": alive,
            "states": dict(self._states),
            "pulse_age_s": age_s,
            **self._about,
        }


class _Answer(asyncio.Protocol):
    """Says one line and hangs up. Reads nothing, so nothing can be asked of it."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(json.dumps(self._watchdog.health()).encode() + b"\n")
        transport.close()


@contextlib.asynccontextmanager
async def health_socket(
    watchdog: Watchdog, candidates: tuple[Path, ...] = HEALTH_SOCKETS
) -> AsyncIterator[Path | None]:
    """Answers on the first path that can be bound, or on none: a host without /run works as well."""
    loop = asyncio.get_running_loop()
    for path in candidates:
        if not path.parent.is_dir() or _is_answered(path):
            continue
        try:
            path.unlink(missing_ok=True)
            server = await loop.create_unix_server(lambda: _Answer(watchdog), str(path))
        except OSError as error:
            log.debug("no health socket at %s: %s", path, error.strerror)
            continue
        try:
            yield path
        finally:
            server.close()
            path.unlink(missing_ok=True)
        return
    yield None


def ask(
    candidates: tuple[Path, ...] = HEALTH_SOCKETS, *, deadline_s: float = 5.0
) -> dict[str, object] | None:
    """What the agent on this machine says of its health; None if none answers."""
    for path in candidates:
        with contextlib.suppress(OSError, ValueError), _connected(path, deadline_s) as sock:
            answer = json.loads(sock.makefile().readline())
            return answer if isinstance(answer, dict) else None
    return None


def _connected(path: Path, deadline_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(deadline_s)
    try:
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    return sock


def _is_answered(path: Path) -> bool:
    try:
        _connected(path, 1.0).close()
    except OSError:
        return False
    return True
