"""How an update is written down for the process that may have to go on with it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from agent.core.container_update import Update
from agent.core.jobs import Job

KIND = "container_update"


@dataclass(frozen=True, slots=True)
class Record:
    """`state` is the chart's, written down before anything is done in it."""

    state: str
    update: Update


_RECORD = TypeAdapter(Record)


def to_job(state: str, update: Update) -> Job:
    record = _RECORD.dump_python(Record(state, update), mode="json")
    return Job(update.command_id, KIND, update.name, record)


def from_job(job: Job) -> Record:
    """What `to_job` was given.

    Raises:
        pydantic.ValidationError: It is no such record; another release may have written it.
    """
    return _RECORD.validate_python(job.record)
