"""Health checks on a timeline: what runs when, what the server is told, and what outlives a session."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fakes.channel import FakeChannel
from fakes.http_probe import FakeProbe
from fakes.scope import FakeScope

from agent.clock import utcnow
from agent.core.health_results import Answered
from agent.features.health_checks import MAX_CHECKS, PROBES_AT_ONCE, SPREAD_S, HealthChecks
from agent.ports import Json, Priority

WEB, API, JOB = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"

RESULT = "health_check_result"


def config(container: str = WEB, *, every_s: int = 60, **more: Any) -> Json:
    return {
        "container_id": container,
        "url": "http://10.0.0.5/",
        "check_interval_seconds": every_s,
    } | more


class AtOnce(random.Random):
    """First runs begin at once."""

    def uniform(self, a: float, b: float) -> float:
        return a


class World:
    """The checks between a probe and a link. Each `session` is one of the agent's."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self.probe, self.channel = FakeProbe(), FakeChannel()
        self.checks = HealthChecks(self.probe, self.channel, clock=utcnow, rng=rng or AtOnce())
        self._listeners = self.checks.listeners()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[FakeScope]:
        self.channel.is_live = True
        async with FakeScope() as scope:
            self.checks.acquire(scope)
            yield scope
            await self.checks.release()

    def sync(self, *configs: Any) -> None:
        self._listeners["health_check_configs_sync"]({"configs": list(configs)})

    def configure(self, config: Json) -> None:
        self._listeners["health_check_config"](config)

    def remove(self, container: str) -> None:
        self._listeners["health_check_config_remove"]({"container_id": container})

    def say(self, kind: str, payload: Json) -> None:
        self._listeners[kind](payload)

    @property
    def results(self) -> list[Json]:
        return self.channel.payloads(RESULT)

    @property
    def checked(self) -> list[str]:
        """The containers that the server was told of, in order."""
        return [told["container_id"] for told in self.results]


async def after(seconds: float) -> None:
    """Until everything that falls due within `seconds` from now is done."""
    await asyncio.sleep(seconds)
    for _ in range(10):
        await asyncio.sleep(0)


# --- What runs when


async def test_a_check() -> None:
    """It runs once in each interval, and each result is an event."""
    world = World()
    async with world.session():
        world.sync(config(WEB, every_s=30, host_id="e3b9"))
        await after(65)
    assert world.probe.times_s(WEB) == [0, 30, 60]
    assert {priority for priority, _ in world.channel.sent} == {Priority.EVENT}
    assert world.results[0] == {
        "container_id": WEB,
        "host_id": "e3b9",
        "healthy": True,
        "status_code": 200,
        "response_time_ms": 5,
        "timestamp": "2026-01-01T00:00:00.000000Z",
    }


async def test_first_runs_are_spread() -> None:
    """Over ten seconds, whatever the interval: no burst, and nobody waits long for the first result."""
    world = World(random.Random(1))
    containers = [f"{number:012x}" for number in range(50)]
    async with world.session():
        world.sync(*(config(container, every_s=3600) for container in containers))
        await after(SPREAD_S)
    times_s = [at_s for at_s, _ in world.probe.probes]
    assert len(set(times_s)) == len(containers)
    assert max(times_s) > 0.8 * SPREAD_S


async def test_a_check_that_takes_longer_than_its_interval() -> None:
    """It is never under way twice, and leaves out what it missed."""
    world = World()
    world.probe.takes_s = 25
    async with world.session():
        world.sync(config(WEB, every_s=10))
        await after(65)
    assert world.probe.times_s(WEB) == [0, 30, 60]
    assert world.probe.at_once == 1


async def test_many_slow_checks() -> None:
    """So many are under way at once; the others have their turn after them."""
    world = World()
    world.probe.takes_s = 1
    count = 2 * PROBES_AT_ONCE + 1
    async with world.session():
        world.sync(*(config(f"{number:012x}") for number in range(count)))
        await after(3)
    assert world.probe.at_once == PROBES_AT_ONCE
    assert len(world.checked) == count


async def test_a_network_that_is_gone() -> None:
    """Thirty servers that never answer keep no other check waiting."""
    world = World()
    world.probe.slow = {f"{number:012x}" for number in range(30)}
    async with world.session():
        world.sync(
            *(config(container, every_s=10, timeout_seconds=60) for container in world.probe.slow),
            config(WEB, every_s=10),
        )
        await after(65)
    assert world.probe.times_s(WEB) == [0, 10, 20, 30, 40, 50, 60]


async def test_a_defect_in_one_check(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, costs one result, and the check goes on."""
    world = World()
    world.probe.outcome = RuntimeError("odd")
    async with world.session():
        world.sync(config(WEB, every_s=10))
        await after(5)
        world.probe.outcome = Answered(503, 7)
        await after(5)
    assert [told["error_message"] for told in world.results] == ["Status 503"]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == f"the check of {WEB} failed"


# --- What the server says


async def test_a_sync_is_the_whole_list() -> None:
    """What is new begins, what is missing or disabled ends."""
    world = World()
    async with world.session():
        world.sync(config(WEB), config(API), config(JOB))
        await after(5)
        world.probe.probes.clear()
        world.sync(config(API), config(JOB, enabled=False))
        await after(60)
    assert world.probe.probes == [(60, API)]


async def test_a_check_that_did_not_change() -> None:
    """It keeps its schedule; one that changed begins anew."""
    world = World()
    async with world.session():
        world.sync(config(WEB), config(API))
        await after(20)
        world.sync(config(WEB), config(API, method="HEAD"))
        await after(60)
    assert world.probe.times_s(WEB) == [0, 60]
    assert world.probe.times_s(API) == [0, 20, 80]


async def test_one_configuration_at_a_time() -> None:
    """Added, changed, disabled, removed; the other checks take no notice."""
    world = World()
    async with world.session():
        world.sync(config(JOB))
        world.configure(config(WEB, every_s=10))
        world.configure(config(API, every_s=10))
        await after(15)
        world.configure(config(WEB, every_s=10, enabled=False))
        world.remove(API)
        world.remove("no ID")
        world.remove("dddddddddddd")
        await after(50)
    assert world.probe.times_s(WEB) == [0, 10]
    assert world.probe.times_s(API) == [0, 10]
    assert world.probe.times_s(JOB) == [0, 60]


async def test_configurations_that_cannot_be_carried_out(caplog: pytest.LogCaptureFixture) -> None:
    """Each is told with its reason, and none costs another one its check."""
    world = World()
    async with world.session():
        world.sync(config(WEB, url="ftp://web/"), None, {"container_id": [1]}, config(API))
        await after(5)
    assert world.checked == [API]
    refusals = [record.getMessage() for record in caplog.records]
    assert refusals[0] == (
        f"the check of {WEB} is refused: url: must begin with http:// or https://"
    )
    assert len(refusals) == 3


async def test_a_change_that_cannot_be_carried_out() -> None:
    """The check as it was is not what anybody wants any more."""
    world = World()
    async with world.session():
        world.configure(config(WEB))
        await after(5)
        world.configure(config(WEB, url="ftp://web/"))
        await after(120)
    assert world.probe.times_s(WEB) == [0]


@pytest.mark.parametrize("payload", [{}, {"configs": None}, {"configs": []}])
async def test_an_empty_sync(payload: Json) -> None:
    """No checks are wanted."""
    world = World()
    async with world.session():
        world.sync(config(WEB))
        await after(5)
        world.say("health_check_configs_sync", payload)
        await after(60)
    assert world.probe.times_s(WEB) == [0]


async def test_a_sync_that_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """It changes nothing and is told."""
    world = World()
    async with world.session():
        world.sync(config(WEB))
        world.say("health_check_configs_sync", {"configs": "all"})
        await after(60)
    assert world.probe.times_s(WEB) == [0, 60]
    assert "configs: must be a list" in caplog.text


async def test_too_many_checks(caplog: pytest.LogCaptureFixture) -> None:
    """Those beyond the limit are left out, and the log says which."""
    world = World()
    async with world.session():
        world.sync(*(config(f"{number:012x}") for number in range(MAX_CHECKS + 1)))
        await after(1)
        assert len(world.checked) == MAX_CHECKS
        world.configure(config(f"{0:012x}", method="HEAD"))  # a change is no addition
        await after(1)
    assert len(world.checked) == MAX_CHECKS + 1
    assert caplog.messages == [f"{MAX_CHECKS:012x} is not checked: {MAX_CHECKS} are already"]


# --- Sessions


async def test_a_new_session_has_no_checks() -> None:
    """A server without checks sends no list at all, so that the one from before does not count."""
    world = World()
    async with world.session():
        world.sync(config(WEB))
        await after(5)
    async with world.session():
        await after(600)
    assert world.probe.times_s(WEB) == [0]
    assert world.probe.rests == 1


async def test_the_end_of_a_session_ends_what_is_under_way() -> None:
    """At once, and only then are the connections closed."""
    world = World()
    world.probe.takes_s = 50
    async with world.session():
        world.sync(config(WEB))
        await after(1)
        await world.checks.release()
        assert asyncio.get_running_loop().time() == 1
    assert world.probe.rests == 1
    assert world.results == []


async def test_a_message_between_sessions() -> None:
    """It belongs to none."""
    world = World()
    async with world.session():
        pass
    world.sync(config(WEB))
    async with world.session():
        await after(60)
    assert world.probe.probes == []


async def test_a_result_that_could_not_be_sent() -> None:
    """The newest of each container is sent in the next session, with the instant it is of; then it is forgotten."""
    world = World()
    async with world.session():
        world.sync(config(WEB, every_s=10), config(API))
        world.channel.is_live = False
        await after(5)
        world.probe.outcome = Answered(503, 7)
        await after(10)
    assert world.results == []
    for _ in range(2):
        async with world.session():
            await after(5)
    assert [
        (told["container_id"], told["status_code"], told["timestamp"]) for told in world.results
    ] == [
        (API, 200, "2026-01-01T00:00:00.000000Z"),
        (WEB, 503, "2026-01-01T00:00:10.000000Z"),
    ]


async def test_a_result_that_was_on_its_way() -> None:
    """What the transport has not taken when the link breaks counts as not sent."""
    world = World()
    world.channel.takes = False
    async with world.session():
        world.sync(config(WEB))
        await after(5)
        world.channel.cut()
    world.channel.takes = True
    async with world.session():
        await after(5)
    assert world.checked == [WEB, WEB]


async def test_a_link_that_takes_nothing() -> None:
    """Of each check, one result waits: no more are made meanwhile."""
    world = World()
    world.channel.takes = False
    async with world.session():
        world.sync(config(WEB, every_s=10))
        await after(100)
        assert world.probe.times_s(WEB) == [0]
        world.channel.take_all()
        world.channel.takes = True
        await after(10)
    assert world.probe.times_s(WEB) == [0, 110]


async def test_a_full_channel() -> None:
    """The result makes room for replies; the next one counts."""
    world = World()
    async with world.session():
        world.channel.is_full = True
        world.sync(config(WEB, every_s=10))
        await after(5)
        world.channel.is_full = False
        await after(5)
    assert [told["timestamp"] for told in world.results] == ["2026-01-01T00:00:10.000000Z"]


async def test_a_check_that_was_removed_before_its_result_was_sent() -> None:
    """Nobody is told."""
    world = World()
    async with world.session():
        world.sync(config(WEB), config(API))
        world.channel.is_live = False
        await after(5)
        world.remove(WEB)
        world.sync()
    async with world.session():
        await after(5)
    assert world.results == []
