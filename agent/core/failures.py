"""Why an attempt or a link ended, in the words an operator can act on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Where to look. Each kind is one class of cause with one advice."""

    SETTINGS = "settings"
    DATA_DIR = "data directory"
    ENGINE = "engine"
    DNS = "name lookup"
    TCP = "connection"
    TLS = "TLS"
    PROXY = "proxy"
    HTTP = "HTTP"
    HANDSHAKE = "handshake"
    REFUSAL = "refusal"
    TIMEOUT = "timeout"
    CLOSED = "closed by the server"
    LOST = "lost"
    SILENT = "silence"
    PROTOCOL = "protocol"


@dataclass(frozen=True, slots=True)
class Failure:
    """`text` says what was seen, `advice` what to do about it ("" where waiting is all there is to do).

    `status` is that of an HTTP answer, None if there was none.
    """

    kind: FailureKind
    text: str
    advice: str = ""
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" + (f" ({self.advice})" if self.advice else "")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server said no. A permanent one is the same tomorrow unless somebody does what `advice` says."""

    text: str
    permanent: bool
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.text}" + (f" ({self.advice})" if self.advice else "")
