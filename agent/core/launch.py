"""What the launcher tells the release that it starts: DOCKMON_AGENT_LAUNCH, read once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pydantic import TypeAdapter, ValidationError

Outcome = Literal["updated", "rolled_back", "inconclusive"]


class NoLaunch(ValueError):
    """What stands there is not what a launcher writes. The text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Build:
    """One release: its content's name and its version."""

    build_id: str
    version: str


@dataclass(frozen=True, slots=True)
class Running(Build):
    """The release that runs: the image's own, or one from the volume; `on_trial` until it has registered."""

    source: Literal["baked", "slot"] = "baked"
    on_trial: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What the running release has to prove, and which command it was that brought it."""

    command_id: str
    needs_engine: bool
    command: str = "self_update"


@dataclass(frozen=True, slots=True)
class LastResult:
    """How the update before this start ended; told to the server once.

    Attributes:
        proof_s: The time from its start in which the running release shows that the server can be reached at all; if
            it does not, nothing was learnt about the one taken back. None: that is not in question.
    """

    command_id: str
    command: str
    version: str
    outcome: Outcome
    reason: str = ""
    proof_s: float | None = None

    def proven_after(self, seconds: float) -> LastResult:
        """The result, once the running release has needed that long to register."""
        if self.outcome != "rolled_back" or self.proof_s is None or seconds <= self.proof_s:
            return self
        reason = f"{self.reason}; nor did the release before it register in that time"
        return replace(self, outcome="inconclusive", reason=reason)


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of a release.

    Attributes:
        update_dir: Where releases are kept; None where there is no volume for them, and `why_no_updates` says why.
        root_keys: How many root public keys there are: without one no release can be trusted.
        keys_dir: Where they are; "" where the launcher does not tell.
        security_floor: Once this release has registered, none with a lower one is put on trial.
        last_result: Only while it has not been reported.
    """

    running: Running
    baked: Build
    update_dir: str | None = None
    why_no_updates: str = ""
    root_keys: int = 0
    keys_dir: str = ""
    security_floor: int = 0
    trial: Trial | None = None
    last_result: LastResult | None = None
    launcher_api: int = 1


_LAUNCH = TypeAdapter(Launch)


def read_launch(text: str) -> Launch:
    """The launch in the variable's text.

    Raises:
        NoLaunch: It is none.
    """
    try:
        return _LAUNCH.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise NoLaunch(f"{where}: {first['msg']}") from None
