"""How many samples make one write: all of a tick, as long as the link takes them in no time."""

from __future__ import annotations

LEAST = 50
"""Some 20 kB. What waits in the kernel is in the way of replies, and on a slow link of a pong for longer than the
server waits for one."""

MOST = 150
"""Some 60 kB. More is no cheaper: a write, and a ping to see it arrive, cost less than a tenth of encoding it."""

QUICK_S = 0.5


class BatchSize:
    """`limit` is how many to send next. The first ones go to a link that nobody knows yet."""

    def __init__(self) -> None:
        self.limit = LEAST

    def arrived(self, after_s: float) -> None:
        """To be told how long a batch was under way."""
        self.limit = min(2 * self.limit, MOST) if after_s < QUICK_S else LEAST
