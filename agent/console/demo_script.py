"""What is played, from the first registration to an orderly end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.console.acts import checking, deploying, linking, looking, operating, updating
from agent.console.acts.hands import Act, Hands, Skipped


@dataclass(frozen=True, slots=True)
class Step:
    """Acts under one title: what it is, and what is to be seen."""

    title: str
    acts: Sequence[Act]


STEPS = (
    Step("Connect: the agent dials out and registers this host", [linking.connect]),
    Step(
        "Operate: a throwaway container is started, stopped and restarted",
        [operating.make, operating.operate],
    ),
    Step(
        "Look inside: a health check, a shell, live figures", [checking.begin, looking.look_inside]
    ),
    Step(
        "Update to a bad image: everything is put back as it was",
        [updating.roll_back, checking.end],
    ),
    Step("Update to a good image: a new container with the old one's settings", [updating.update]),
    Step("Cut the link: things happen that the server cannot see", [linking.cut]),
    Step("Deploy: a Compose project goes up and down", [deploying.deploy]),
    Step("Remove: the container is renamed, and gone", [operating.remove]),
    Step("Stop: the agent ends in good order", [linking.stop]),
)

PAUSES_S = 18.7
"""What the pauses add up to: the rest of the time is the engine's and the link's."""


class Script:
    """Plays `steps` once.

    Attributes:
        skipped: What could not be played here, each with the reason.
    """

    def __init__(self, hands: Hands, steps: Sequence[Step] = STEPS) -> None:
        self._hands, self._steps = hands, steps
        self.skipped: list[str] = []

    async def play(self) -> None:
        """Returns when the agent has stopped.

        Raises:
            Failed: Agent, engine or server did not do their part.
            BystanderFailed: The engine did not do what was asked of it directly.
        """
        watch = self._hands.watch
        for number, step in enumerate(self._steps):
            watch.begin(number)
            for act in step.acts:
                try:
                    await act(self._hands)
                except Skipped as skipped:
                    watch.say("demo", f"cannot show that here: {skipped}", tone="bad")
                    self.skipped.append(f"{step.title.partition(':')[0]}: {skipped}")
        watch.begin(len(self._steps))
