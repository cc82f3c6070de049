"""What was found out about a release."""

from __future__ import annotations

from agent.launcher.record import Record


class Verdict(Record):
    """A release that verifies, or why it does not.

    Attributes:
        why: "" if it verifies; then the rest is from its manifest, and otherwise as far as that could be read.
        security_floor: No release with a lower one is to run any more, once this one has.
        reads: The schemas of the data directory that it can read.
        writes: The one it leaves behind.
    """

    why: str = ""
    build_id: str = ""
    version: str = ""
    security_floor: int = 0
    reads: tuple[int, ...] = ()
    writes: int = 0

    @property
    def is_good(self) -> bool:
        return not self.why
