"""Whether a soak held what it promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RSS_GROWTH_MB = 3.0
WORST_COMMAND_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Held:
    """What the agent's process held at one moment."""

    rss_mb: float
    descriptors: int
    threads: int


def most(looks: Sequence[Held]) -> Held:
    """The most that was held of each, at whichever of these moments."""
    return Held(
        max(look.rss_mb for look in looks),
        max(look.descriptors for look in looks),
        max(look.threads for look in looks),
    )


@dataclass(frozen=True, slots=True)
class Finding:
    text: str
    holds: bool


def verdict(
    warm: Held,
    end: Held,
    *,
    emitted: int,
    lost: int,
    worst_command_ms: float,
    exit_status: int,
) -> list[Finding]:
    """What is to be said of a soak, and whether it is as it should be.

    Args:
        warm: After the warm-up.
        end: After everything was over.
        emitted: Events of which the server had to be told, as somebody else counted them.
        lost: Those of which it was not.
        exit_status: Of the agent, which was told to stop at the end.
    """
    grown_mb = end.rss_mb - warm.rss_mb
    return [
        Finding(
            f"RSS {warm.rss_mb:.1f} MB warm, {end.rss_mb:.1f} MB at the end: {grown_mb:+.1f} MB, "
            f"less than {RSS_GROWTH_MB:g} MB more",
            grown_mb < RSS_GROWTH_MB,
        ),
        Finding(
            f"descriptors {warm.descriptors} warm, {end.descriptors} at the end",
            end.descriptors <= warm.descriptors,
        ),
        Finding(
            f"threads {warm.threads} warm, {end.threads} at the end", end.threads <= warm.threads
        ),
        Finding(f"{lost} of {emitted} events lost", lost == 0 and emitted > 0),
        Finding(
            f"the slowest command took {worst_command_ms:.0f} ms, at most {WORST_COMMAND_MS:.0f} ms",
            worst_command_ms <= WORST_COMMAND_MS,
        ),
        Finding(f"told to stop, it ended with {exit_status}", exit_status == 0),
    ]


def lines(found: Sequence[Finding]) -> list[str]:
    return [f"{'holds' if each.holds else 'FAILS':5}  {each.text}" for each in found]
