"""How a request ends for somebody at the UI: as an HTTP answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.hub.replies import RequestFailed

OK = 200
BAD_REQUEST = 400
FORBIDDEN = 403
NOT_FOUND = 404
CONFLICT = 409
FAILED = 500
NOT_IMPLEMENTED = 501
TIMED_OUT = 504


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is what the UI gets with a 200; `detail` the text that it shows with anything else."""

    status: int
    body: Any = None
    detail: str | None = None

    @property
    def ok(self) -> bool:
        return self.status == OK


RECOGNISED: Mapping[str, Sequence[tuple[str, int]]] = {
    "create_network": (
        ("unknown command", NOT_IMPLEMENTED),
        ("already exists", CONFLICT),
    ),
    "delete_network": (
        ("built-in", BAD_REQUEST),
        ("cannot delete", BAD_REQUEST),
        ("connected container", CONFLICT),
        ("in use", CONFLICT),
        ("not found", NOT_FOUND),
    ),
    "delete_volume": (
        ("in use", CONFLICT),
        ("being used", CONFLICT),
        ("not found", NOT_FOUND),
    ),
}
"""Words in an error, whatever their case, that the server tells one failure from another by: the first one counts."""


def failure(name: str, failed: RequestFailed) -> Answer:
    """The answer to a request that came to nothing, with the text as it is."""
    if failed.error_type == "timeout":
        # The listing of volumes knows one kind of failure only.
        return Answer(FAILED if name == "list_volumes" else TIMED_OUT, detail=failed.text)
    text = failed.text.lower()
    for words, status in RECOGNISED.get(name, ()):
        if words in text:
            return Answer(status, detail=failed.text)
    return Answer(FAILED, detail=failed.text)
