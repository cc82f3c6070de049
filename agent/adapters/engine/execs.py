"""Exec instances: processes that the engine starts in a container beside the container's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from agent.adapters.engine.paths import container_path
from agent.adapters.engine.pool import Pool
from agent.adapters.engine.wire import Call, Wire
from agent.ports import Json

T = TypeVar("T")


class OnPool(Protocol):
    """Has `work` done on a thread of the pool, within `deadline_s`."""

    async def __call__(
        self, pool: Pool, deadline_s: float, work: Callable[[Wire, Call], T], /
    ) -> T: ...


@dataclass(frozen=True, slots=True)
class ExecState:
    """`exit_code` is None while it runs, and of one that never did."""

    is_running: bool
    exit_code: int | None


class Execs:
    """The engine's calls about exec instances. All raise an `EngineError`."""

    def __init__(self, on: OnPool, reads: Pool, operations: Pool) -> None:
        self._on, self._reads, self._operations = on, reads, operations

    async def create_on_tty(
        self, container: str, command: Sequence[str], env: Mapping[str, str], *, deadline_s: float
    ) -> tuple[str, str]:
        """An exec instance to be started with all streams attached. Returns its ID and the path to start it at."""
        path = f"{container_path(container)}/exec"
        body = {
            "Cmd": list(command),
            "Env": [f"{name}={value}" for name, value in env.items()],
            "Tty": True,
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
        }

        def create(wire: Wire, call: Call) -> tuple[str, str]:
            exec_id = wire.made(call, path, {}, body, "exec instance")
            return exec_id, f"/v{wire.version(call)}/exec/{exec_id}/start"

        return await self._on(self._operations, deadline_s, create)

    async def run_detached(
        self, container: str, command: Sequence[str], *, deadline_s: float
    ) -> None:
        """Starts a process and leaves it to itself."""
        path = f"{container_path(container)}/exec"
        body: Json = {"Cmd": list(command)}

        def run(wire: Wire, call: Call) -> None:
            exec_id = wire.made(call, path, {}, body, "exec instance")
            wire.order(call, f"/exec/{exec_id}/start", body={"Detach": True, "Tty": False})

        await self._on(self._operations, deadline_s, run)

    async def resize(self, exec_id: str, columns: int, rows: int, *, deadline_s: float) -> None:
        params = {"h": str(rows), "w": str(columns)}

        def resize(wire: Wire, call: Call) -> None:
            wire.order(call, f"/exec/{exec_id}/resize", params)

        await self._on(self._operations, deadline_s, resize)

    async def state(self, exec_id: str, *, deadline_s: float) -> ExecState:
        def look(wire: Wire, call: Call) -> ExecState:
            told = wire.object(call, f"/exec/{exec_id}/json")
            code = told.get("ExitCode")
            return ExecState(bool(told.get("Running")), code if isinstance(code, int) else None)

        return await self._on(self._reads, deadline_s, look)
