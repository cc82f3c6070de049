"""Looks at agent and server from outside, and makes facts, scenes and at last a report of what it sees."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

from agent.assembly import Agent
from agent.console.demo_narration import answer, request, story, usage
from agent.console.demo_scene import Fact, Report, Scene, Shown, Tone, Topic, Who
from agent.console.meter import MeteredServer
from agent.console.witness import Key, received
from agent.core.lifecycle import Lifecycle, Registered
from agent.hub.events import read_event
from agent.hub.host import Host
from agent.hub.journal import Entry
from agent.hub.replies import answered_id, is_reply
from agent.hub.server import Hub
from agent.hub.shapes import SHORT_ID_LENGTH
from agent.runtime.runtime import Move

TOLD = ("lifecycle", "engine")
"""The charts whose moves are told. How a job goes on, the agent itself tells the server."""

FOR_LIFE = (*TOLD, "stats_link")
"""The charts that are there as long as the agent is; any other is a job's."""

FACTS = 200
"""More than any screen is high."""


class Watch:
    """To be made on the loop, at the moment the demo's time begins.

    Args:
        place: Which engine this is, in a few words.
        steps: What will be played.
        tell: Given each fact at once.
        log: Where the agent's newest log lines are.
    """

    def __init__(
        self,
        hub: Hub,
        agent: Agent,
        meter: MeteredServer,
        *,
        place: str,
        steps: Sequence[str],
        tell: Callable[[Fact], None],
        log: Sequence[str],
    ) -> None:
        self._hub, self._agent, self._meter = hub, agent, meter
        self.place = place
        self._steps, self._tell, self._log = steps, tell, log
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._changed = asyncio.Event()
        self._facts: deque[Fact] = deque(maxlen=FACTS)
        self._step = 0
        self._entered_s = self._began_s
        self._cause = ""
        self._registered = 0
        self._away_since_s: float | None = None
        self._away_s = 0.0
        self._asked: dict[object, tuple[float, str]] = {}
        self._requests = self._replies = self._events = 0
        self._longest_s = 0.0
        self.ours = self._our_name = ""
        """The container that it is all about, by its short ID; empty before there is one."""
        self._all_ours: set[str] = set()
        self.arrived: Counter[Key] = Counter()
        """How often each event of any container reached the server."""
        self.server_is_there = True
        hub.listen(self._heard)
        agent.runtime.observe(self._moved)

    # What the demo tells

    def begin(self, step: int) -> None:
        """From now on this step is played; `len(steps)` after the last."""
        self._step = step
        if step < len(self._steps):
            self.say("demo", f"{step + 1}/{len(self._steps)}  {self._steps[step]}", topic="step")

    def say(
        self, who: Who, text: str, *, topic: Topic = "story", tone: Tone = "plain", at_s: float = 0
    ) -> None:
        fact = Fact((at_s or self._loop.time()) - self._began_s, who, text, topic, tone)
        self._facts.append(fact)
        self._tell(fact)

    def attend_to(self, container_id: str, name: str) -> None:
        """This is the container that it is all about from now on."""
        self.ours, self._our_name = container_id[:SHORT_ID_LENGTH], name
        self._all_ours.add(self.ours)

    # What the demo asks

    @property
    def host(self) -> Host | None:
        """The agent's host as the server knows it, once it has registered."""
        return next(iter(self._hub.hosts.values()), None)

    @property
    def step(self) -> str:
        """Which step is played, in words."""
        return f"step {self._step + 1} of {len(self._steps)}"

    @property
    def unanswered(self) -> int:
        return self._requests - self._replies

    @property
    def heard_of_ours(self) -> list[Key]:
        """The events that reached the server of what it is or was all about."""
        return [key for key in self.arrived if key.container_id in self._all_ours]

    async def until(self, condition: Callable[[], bool], *, within_s: float) -> bool:
        """Waits until `condition` holds; False if it does not in time. Looked at whenever something was seen."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return condition()
        return True

    # What the views ask

    def scene(self) -> Scene:
        now_s, states = self._loop.time(), self._agent.runtime.states()
        return Scene(
            place=self.place,
            elapsed_s=now_s - self._began_s,
            steps=self._steps,
            step=self._step,
            lifecycle=states["lifecycle"],
            in_state_s=now_s - self._entered_s,
            retry_in_s=self._retry_in_s(now_s) if states["lifecycle"] == "backoff" else None,
            cause=self._cause,
            engine=states["engine"],
            server_is_there=self.server_is_there,
            reconnects=max(0, self._registered - 1),
            sent=self._meter.sent,
            received=self._meter.received,
            requests=self._requests,
            replies=self._replies,
            events=self._events,
            containers=self._containers(),
            facts=list(self._facts),
            log=list(self._log),
            jobs={chart: state for chart, state in states.items() if chart not in FOR_LIFE},
        )

    def report(
        self,
        emitted: Counter[Key],
        waiting: Counter[Key],
        *,
        failure: str | None,
        ended_early: str | None,
        skipped: Sequence[str],
        left_behind: Sequence[str],
    ) -> Report:
        """What came of it.

        Args:
            emitted: Events that the engine emitted for the demo's containers.
            waiting: Those of them that still stand in the agent's journal.
        """
        there = set(self.arrived)
        return Report(
            emitted=len(emitted),
            received=len(emitted.keys() & there),
            waiting=len((emitted.keys() & waiting.keys()) - there),
            repeated=sum(self.arrived[key] - 1 for key in emitted.keys() & there),
            requests=self._requests,
            replies=self._replies,
            longest_s=self._longest_s,
            to_server=self._meter.sent,
            to_agent=self._meter.received,
            reconnects=max(0, self._registered - 1),
            away_s=self._away_s,
            took_s=self._loop.time() - self._began_s,
            failure=failure,
            ended_early=ended_early,
            skipped=skipped,
            left_behind=left_behind,
        )

    def _retry_in_s(self, now_s: float) -> float:
        machine = self._agent.runtime.regions["lifecycle"].machine
        assert isinstance(machine, Lifecycle)
        return max(0.0, self._entered_s + machine.memory.delay_s - now_s)

    def _containers(self) -> list[Shown]:
        """The server's last list, and what later events made of it. Ours first."""
        if (host := self.host) is None:
            return []
        shown = {
            str(entry["Id"])[:SHORT_ID_LENGTH]: (
                str((entry.get("Names") or ["?"])[0]).removeprefix("/"),
                str(entry.get("State") or "?"),
            )
            for entry in host.containers
        }
        for event in self._hub.events(host.id):
            if host.polled_at_s is not None and event["at"] <= host.polled_at_s:
                continue  # the list knows better
            if (state := event["state"]) is None:
                shown.pop(event["container_id"], None)
            else:
                shown[event["container_id"]] = event["container_name"], state
        ours = shown.pop(self.ours, None)
        others = [Shown(name, state) for name, state in sorted(shown.values())]
        if ours is None:
            return others
        return [Shown(*ours, is_ours=True, figures=self._figures(host.id)), *others]

    def _figures(self, host_id: str) -> str:
        latest = self._hub.metrics.container(host_id, self.ours)
        return "" if latest is None else usage(latest.sample)

    # What is seen

    def _moved(self, move: Move) -> None:
        if move.entered and move.chart in TOLD:
            text = f"{move.before} → {move.after}: {move.event}"
            if move.chart == "lifecycle":
                self._entered_s, self._cause = move.at_s, str(move.event)
                self._count_absence(move)
            tone: Tone = "good" if move.after in ("connected", "following") else "plain"
            self.say("agent", f"{move.chart} {text}", topic="move", tone=tone, at_s=move.at_s)
        self._changed.set()

    def _count_absence(self, move: Move) -> None:
        if isinstance(move.event, Registered):
            self._registered += 1
            if self._away_since_s is not None:
                self._away_s += move.at_s - self._away_since_s
                self._away_since_s = None
        elif move.before == "connected" and move.after == "backoff":
            self._away_since_s = move.at_s

    def _heard(self, entry: Entry) -> None:
        frame = entry.frame
        if entry.direction == "out":
            self._asked_for(entry)
        elif is_reply(frame):
            self._answered(entry)
        elif (told := story(frame)) is not None:
            self.say(told.who, told.text, tone=told.tone, at_s=entry.at)
        if entry.direction == "in" and frame.get("command") == "container_event":
            self._emitted(entry)
        self._changed.set()

    def _asked_for(self, entry: Entry) -> None:
        if (what := request(entry.frame, {self.ours: self._our_name})) is None:
            return
        self._requests += 1
        self._asked[entry.frame["id"]] = (entry.at, what)
        if what != "list_containers":  # it asks for those every few seconds
            self.say("server", f"asks: {what}", at_s=entry.at)

    def _answered(self, entry: Entry) -> None:
        asked_s, what = self._asked.pop(answered_id(entry.frame), (None, ""))
        if asked_s is None:
            return
        self._replies += 1
        took_s = entry.at - asked_s
        self._longest_s = max(self._longest_s, took_s)
        if what != "list_containers":
            outcome, tone = answer(entry.frame)
            self.say("agent", f"answers after {took_s:.2f} s: {outcome}", tone=tone, at_s=entry.at)

    def _emitted(self, entry: Entry) -> None:
        if read_event(entry.frame, entry.at) is not None:
            self._events += 1
        if key := received(entry.frame["payload"]):
            self.arrived[key] += 1
