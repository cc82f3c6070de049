"""Container events on their way to the server: which count, what they imply, and what must have happened unseen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from agent.core.rfc3339 import rfc3339

REPORTED = frozenset({"start", "restart", "die", "destroy"})
"""What the server does something with. The rest it ignores, and three exec events per health probe are no news."""

NOTICED = (
    *("create", "pause", "unpause", "stop", "kill", "health_status"),
    *("connect", "disconnect"),
)
"""How actions begin that change what a list of containers says, and no net state."""

FILTERS: Mapping[str, tuple[str, ...]] = {
    "type": ("container", "image", "network"),
    "event": (
        *sorted(REPORTED),
        *("rename", "update"),
        *NOTICED,
        *("pull", "tag", "untag", "delete", "load", "import"),
    ),
}
"""What is read of the engine's stream: what is reported, and what makes remembered facts stale."""

_MAX_NS = 2**63 - 1
"""The engine counts in 64 bits. What is beyond them is no instant, and Python has none for it either."""

MAX_ATTRIBUTES_CHARS = 32 * 1024
"""Labels can be anything. Beyond this, only what the server reads is kept of them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One event to deliver. `key` is the same each time this event is met; `seq` is set once it is stored.

    `payload` is the wire's payload of a `kind` event. An inferred row was concluded from a comparison, not observed;
    that stays in our own records.
    """

    key: str
    payload: dict[str, Any]
    kind: str = "container_event"
    inferred: bool = False
    seq: int = field(default=0, compare=False)

    @property
    def subject(self) -> str:
        """The container's ID, 64 characters; "" for what is not a container's event."""
        return str(self.payload.get("container_id", ""))


@dataclass(frozen=True, slots=True)
class Known:
    """A container's net state as the journal tells it.

    `started_at` is when its last start was reported (RFC 3339, "" if never): not before the engine's own `StartedAt`.
    """

    name: str
    image: str
    running: bool
    started_at: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A container as the engine shows it now. Of the last three, None and "" mean: not looked at."""

    name: str
    image: str
    running: bool
    started_at: str = ""
    finished_at: str = ""
    exit_code: int | None = None


def concerns(event: Mapping[str, Any]) -> bool:
    """Whether an Engine API event may be of use here. What is not need not be kept for us."""
    return not str(event.get("Action", "")).startswith(NOTICED)


def row(event: Mapping[str, Any]) -> Row | None:
    """The row for an Engine API event, or None if the server need not know of it or it is not a container's."""
    match event:
        case {
            "Type": "container",
            "Action": str(action),
            "timeNano": int(time_ns),
            "Actor": {"ID": str(container_id), "Attributes": dict(attributes)},
        } if action in REPORTED and len(container_id) >= 12 and 0 <= time_ns <= _MAX_NS:
            at = _from_ns(time_ns)
            told = {str(key): str(value) for key, value in attributes.items()}
            payload = _payload(
                container_id, told.get("name", ""), told.get("image", ""), action, at
            )
            payload["attributes"] = _bounded(told)
            return Row(f"{time_ns}:{action}:{container_id}", payload)
    return None


def implied(rows: Iterable[Row], known: Mapping[str, Known | None]) -> dict[str, Known | None]:
    """What `rows`, in order, make of the containers in `known`: their new states, None for those destroyed."""
    changed: dict[str, Known | None] = {}
    for item in rows:
        container_id, payload = item.subject, item.payload
        before = changed.get(container_id, known.get(container_id))
        name, image, at = payload["container_name"], payload["image"], payload["timestamp"]
        match payload["action"]:
            case "start" | "restart":
                changed[container_id] = Known(name, image, True, at)
            case "die":
                started_at = before.started_at if before is not None else ""
                changed[container_id] = Known(name, image, False, started_at)
            case "destroy":
                changed[container_id] = None
    return changed


def renamed(event: Mapping[str, Any], known: Mapping[str, Known | None]) -> dict[str, Known | None]:
    """What a `rename` event makes of `known`; empty for every other event."""
    match event:
        case {
            "Type": "container",
            "Action": "rename",
            "Actor": {"ID": str(container_id), "Attributes": dict(told)},
        }:
            before = known.get(container_id)
            if before is not None and told.get("name"):
                return {container_id: replace(before, name=str(told["name"]))}
    return {}


def snapshot(containers: Iterable[Mapping[str, Any]]) -> dict[str, Seen]:
    """What `GET /containers/json?all=1` shows, by ID."""
    return {
        str(entry["Id"]): Seen(
            name=str((entry.get("Names") or ["/"])[0]).removeprefix("/"),
            image=str(entry.get("Image") or ""),
            running=entry.get("State") in ("running", "paused"),
        )
        for entry in containers
        if len(str(entry.get("Id") or "")) == 64
    }


def looked_at(seen: Seen, inspect: Mapping[str, Any]) -> Seen:
    """`seen` with what only an inspect tells."""
    state = inspect.get("State") or {}
    return replace(
        seen,
        running=bool(state.get("Running")) and not state.get("Restarting"),
        started_at=str(state.get("StartedAt") or ""),
        finished_at=str(state.get("FinishedAt") or ""),
        exit_code=state.get("ExitCode"),
    )


def differing(known: Mapping[str, Known], seen: Mapping[str, Seen]) -> set[str]:
    """Containers whose net state is not what the journal tells, as far as `seen` was looked at."""
    return {
        container_id
        for container_id in {*known, *seen}
        if _missed(known.get(container_id), seen.get(container_id))
    }


def inferred(
    known: Mapping[str, Known], seen: Mapping[str, Seen], containers: Iterable[str], now: datetime
) -> list[Row]:
    """What must have happened unseen to `containers`, so that the server's picture ends up right.

    Args:
        now: The instant to give to what has none of its own (aware).
    """
    rows: list[Row] = []
    for container_id in sorted(containers):
        before, after = known.get(container_id), seen.get(container_id)
        shown = after or before
        assert shown is not None
        for action in _missed(before, after):
            at, exit_code = rfc3339(now), None
            if after is not None and action == "start":
                at = _instant_or(after.started_at, at)
            elif after is not None and action == "die":
                at = _instant_or(after.finished_at, at)
                # The exit code is the last run's; while it runs again, of that one nothing is known.
                exit_code = None if after.running else after.exit_code
            payload = _payload(container_id, shown.name, shown.image, action, at)
            payload["attributes"] = {"name": shown.name, "image": shown.image}
            if exit_code is not None:
                payload["attributes"]["exitCode"] = str(exit_code)
            rows.append(Row(f"{at}:{action}:{container_id}", payload, inferred=True))
    return rows


def adopted(seen: Mapping[str, Seen], now: datetime) -> dict[str, Known | None]:
    """What is known when nothing was known before: what is there, as if it had been reported until `now`."""
    at = rfc3339(now)
    return {
        container_id: Known(item.name, item.image, item.running, at if item.running else "")
        for container_id, item in seen.items()
    }


def _missed(before: Known | None, after: Seen | None) -> tuple[str, ...]:
    was_running = before is not None and before.running
    if after is None:
        return ("die", "destroy") if was_running else ("destroy",)
    if after.running and not was_running:
        return ("start",)
    if was_running and not after.running:
        return ("die",)
    if before is not None and was_running and _is_later(after.started_at, before.started_at):
        return ("die", "start")
    return ()


def _is_later(left: str, right: str) -> bool:
    """Whether RFC 3339 `left` is after `right`; false unless both are known."""
    first, second = parse_instant(left), parse_instant(right)
    return first is not None and second is not None and first > second


def parse_instant(text: str) -> datetime | None:
    """An RFC 3339 instant, cut to microseconds; None for the engine's "never" (year 1) and for what is none."""
    head, dot, rest = text.partition(".")
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        text = f"{head}.{digits[:6]}{rest[len(digits) :]}"
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None or instant.year == 1:
            return None
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _instant_or(text: str, otherwise: str) -> str:
    return otherwise if parse_instant(text) is None else text


def _payload(container_id: str, name: str, image: str, action: str, at: str) -> dict[str, Any]:
    return {
        "container_id": container_id,
        "container_name": name,
        "image": image,
        "action": action,
        "timestamp": at,
    }


def _bounded(attributes: dict[str, str]) -> dict[str, str]:
    if sum(len(key) + len(value) for key, value in attributes.items()) <= MAX_ATTRIBUTES_CHARS:
        return attributes
    return {
        k: v[:1024] for k, v in attributes.items() if k in ("name", "image", "exitCode", "signal")
    }


def _from_ns(time_ns: int) -> str:
    """Unix nanoseconds as RFC 3339 with all nine digits: Docker's own instants have them."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
