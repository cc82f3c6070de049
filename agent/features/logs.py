"""The `get_logs` action: the newest lines of one container, both streams in the order of time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from agent.clock import utcnow
from agent.core.log_lines import log_text
from agent.core.log_since import unix_time_text
from agent.core.replies import MAX_REPLY_BYTES
from agent.features.deadlines import ANSWER_S
from agent.features.operations import Target
from agent.features.unhurried import unhurried
from agent.ports import CommandFailed, Engine, Handler, Json

SERVER_WAITS_S = 30.0

MAX_TAIL = 10_000

RAW_BYTES = MAX_REPLY_BYTES * 13 // 10
"""What is asked of the engine. Headers are less than a quarter of a log, so what it cut is still too much for a reply,
and is seen to be."""

READS_AT_ONCE = 4
"""What was read waits in memory to become text: one at a time, for that takes several times as much."""


class GetLogs(Target):
    """`tail` is a number of lines, clamped to 1 … 10 000."""

    tail: Annotated[int, AfterValidator(lambda tail: min(max(tail, 1), MAX_TAIL))] = 100
    since: str | None = Field(None, max_length=64)


def get_logs(engine: Engine, *, clock: Callable[[], datetime] = utcnow) -> Handler[GetLogs]:
    reading, writing = asyncio.Semaphore(READS_AT_ONCE), asyncio.Lock()

    async def run(payload: GetLogs, _: str) -> Json:
        try:
            since = unix_time_text(payload.since) if payload.since else None
        except ValueError as error:
            raise CommandFailed(str(error)) from None
        async with reading:
            raw = await engine.logs(
                payload.container_id,
                tail=payload.tail,
                since=since,
                max_bytes=RAW_BYTES,
                deadline_s=SERVER_WAITS_S - ANSWER_S,
            )
            async with writing:
                return {"logs": await unhurried(log_text(raw, MAX_REPLY_BYTES, clock()))}

    return Handler("get_logs", GetLogs, run, lambda _: SERVER_WAITS_S)
