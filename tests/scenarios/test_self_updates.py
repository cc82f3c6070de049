"""The agent replaces itself, as the server sees it: refused at once, failed without a trace, or done and told once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from fakes.engine import Recipe
from fakes.releases import build, image_of
from scenarios.self_update_world import (
    NEW,
    SelfUpdateWorld,
    launch,
    on_trial,
    taken_back,
)

from agent.core.chart import Chart
from agent.core.self_update_rules import EXTRACT_LABEL
from agent.hub.replies import RequestFailed
from agent.hub.updates import UpdateResult
from agent.ports import EngineRefused, RegistryAuth, ReleaseRefused

STARTED = {"status": "self_update_started"}
WHOLE_WAY = [
    *("resolving", "pulling", "checking", "extracting", "verifying", "installing"),
    *("self_checking", "staged", "draining", "switching", "handed_over"),
]


def progress(world: SelfUpdateWorld) -> list[tuple[str, str]]:
    """(stage, error) of what was told as an end."""
    told = [
        entry.frame["payload"]
        for entry in world.hub.journal
        if entry.direction == "in" and entry.frame.get("command") == "selfupdate_progress"
    ]
    return [
        (each["stage"], each.get("error", ""))
        for each in told
        if each["stage"] in ("complete", "failed")
    ]


async def test_an_update() -> None:
    """Acknowledged once the new release is staged; then this one drains, hands over and ends."""
    async with SelfUpdateWorld() as world:
        world.start()
        host = await world.online()
        assert host.registration["capabilities"]["self_update"] is True
        assert await world.ask() == STARTED
        await world.ends()
        assert world.way() == WHOLE_WAY
        [switch] = world.supervised.switches
        assert (switch.build_id, switch.version) == (build(31), "3.1.0")
        assert (switch.command, switch.needs_engine, switch.deadline_s) == ("self_update", True, 90)
        assert world.left_over() == [f"slot {build(31)}"]
        assert world.hub.complaints == []


async def test_a_release_that_proves_itself() -> None:
    """Registered and the engine seen, it is kept; the server is told once that the update is complete."""
    async with SelfUpdateWorld() as world:
        world.start()
        await world.online()
        await world.ask()
        await world.ends()
        command_id = world.supervised.switches[0].command_id
        world.next_start(on_trial(command_id))
        await world.online()
        await asyncio.sleep(5)
        assert len(world.supervised.registrations) == 1
        assert world.supervised.reports == [command_id]
        assert progress(world) == [("complete", "")]
        await world.stop()
        assert world.hub.complaints == []


async def test_a_release_that_does_not_see_the_engine() -> None:
    """The one before it had an engine, so being registered is not enough."""
    async with SelfUpdateWorld() as world:
        world.start()
        await world.online()
        await world.stop()
        world.engine.down()
        world.next_start(on_trial("c-1"))
        await world.until("connected")
        await asyncio.sleep(50)
        assert world.supervised.registrations == []
        world.engine.up()
        await world.until("following", chart="engine")
        assert len(world.supervised.registrations) == 1


async def test_one_that_is_not_on_trial() -> None:
    """It says so too, which clears the count of crashes; there is nothing to report."""
    async with SelfUpdateWorld() as world:
        world.start()
        await world.online()
        assert len(world.supervised.registrations) == 1
        assert world.supervised.reports == []


@pytest.mark.parametrize("outcome", ["rolled_back", "inconclusive"])
async def test_a_release_that_was_taken_back(outcome: str) -> None:
    """The server is told once, by whichever start gets through to it first."""
    async with SelfUpdateWorld() as world:
        world.next_start(taken_back("c-1", outcome))
        await world.online()
        await asyncio.sleep(5)
        assert world.supervised.reports == ["c-1"]
        await world.kill()
        world.next_start(taken_back("c-1", outcome))  # the launcher had not written that down
        await world.online()
        await asyncio.sleep(5)
        assert progress(world) == [("failed", "was not registered within 90 s")]
        assert world.hub.complaints == []


@pytest.mark.parametrize(("away_s", "said"), [(60, "90 s"), (120, "in that time")])
async def test_a_release_before_it_that_is_late_itself(away_s: float, said: str) -> None:
    """Not registered in the time that the new one had, it knows that nothing was learnt about that one."""
    async with SelfUpdateWorld() as world:
        await world.hub.stop_listening()
        world.next_start(taken_back("c-1", proof_s=90))
        await asyncio.sleep(away_s)
        await world.hub.start_listening()
        await world.online()
        await asyncio.sleep(5)
        [(stage, error)] = progress(world)
        assert stage == "failed"
        assert error.endswith(said)


async def test_an_update_of_our_own_container() -> None:
    """`update_container` that means us is the same procedure, and its completion names the container, which stays."""
    async with SelfUpdateWorld() as world:
        assert world.own is not None
        world.start()
        host = await world.online()
        updating = asyncio.gather(world.hub.update_container(host.id, world.own.id, NEW))
        await world.ends()
        [switch] = world.supervised.switches
        assert switch.command == "update_container"
        world.next_start(on_trial(switch.command_id, command="update_container"))
        await world.online()
        short = world.own.id[:12]
        assert (await updating)[0] == UpdateResult("update_container", short)
        assert world.hub.complaints == []


# Refused at once


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"image": "ghcr.io/darthnorse/dockmon-agent:2.4.5"}, "another product"),
        ({"image": "registry.test/team/other:3.1.0"}, "UPDATE_REPOSITORIES"),
        ({"image": "registry.test/Team/agent"}, "capital letters"),
        ({"image": ""}, "^image "),
    ],
)
async def test_an_image_that_is_not_ours(changes: dict[str, str], why: str) -> None:
    """Nothing is asked of any registry; the reply says what would be taken."""
    async with SelfUpdateWorld() as world:
        world.start()
        await world.online()
        with pytest.raises(RequestFailed, match=why):
            await world.ask(**changes)
        assert world.way() == []
        assert world.engine.calls["distribution"] == world.engine.calls["pull"] == 0


async def test_the_button_of_the_server() -> None:
    """It offers another product to every agent, and the reply says so."""
    async with SelfUpdateWorld() as world:
        world.start()
        host = await world.online()
        answer = await world.hub.update_agent(host.id, "2.4.5")
        assert not answer.ok
        assert "ghcr.io/darthnorse/dockmon-agent is not where this agent comes from" in str(
            answer.detail
        )


async def test_where_nothing_can_be_installed() -> None:
    """The capability is false; the reply says why, and which commands do it by hand."""
    async with SelfUpdateWorld() as world:
        world.why_not = "there is no volume for releases"
        world.start()
        host = await world.online()
        assert host.registration["capabilities"]["self_update"] is False
        with pytest.raises(
            RequestFailed, match=r"no volume.*docker pull registry\.test/team/agent:3\.1\.0"
        ):
            await world.ask()


async def test_a_disk_that_is_full() -> None:
    """What is missing is looked at each time, before anything is pulled."""
    async with SelfUpdateWorld() as world:
        world.start()
        await world.online()
        world.releases.lacking = "/data/update has 3 MiB free and another release needs 96 MiB"
        with pytest.raises(RequestFailed, match="3 MiB free"):
            await world.ask()
        assert world.way() == []
        world.releases.lacking = ""
        await world.ask()


async def test_a_second_update_meanwhile() -> None:
    """Another command is told that the agent is busy, at once; the same command is told what the first is."""
    async with SelfUpdateWorld() as world:
        world.engine.delay_s["pull"] = 20
        world.start()
        host = await world.online()
        order = {"image": NEW, "version": "3.1.0"}
        first = asyncio.gather(world.hub.request(host.id, "self_update", order, id="one"))
        await asyncio.sleep(5)
        with pytest.raises(RequestFailed, match=r"busy: the agent is being updated to 3\.1\.0"):
            await world.ask()
        assert (await first)[0] == STARTED
        await world.ends()
        assert len(world.supervised.switches) == 1


# Failed, and nothing left


FAILURES = {
    "no such tag": ("resolve", "manifest"),
    "a pull that breaks": ("pull", "no space left"),
    "another platform": ("check", "made for linux/arm64"),
    "no label": ("check", "no label"),
    "another version": ("check", "3.0.9"),
    "no release": ("extract", "no release in"),
    "something hostile": ("extract", "a symbolic link"),
    "a bad signature": ("verify", "signature is wrong"),
    "two versions": ("verify", "3.1.0"),
    "a full disk": ("install", "full"),
    "one that cannot run": ("self_check", "status 3"),
    "a launcher that refuses": ("switch", "security floor"),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure(name: str) -> None:
    """The reply tells it where there still is one, else the host's log; the release goes on and nothing is left."""
    stage, why = FAILURES[name]
    async with SelfUpdateWorld() as world:
        registry, refuse = world.engine.registry, world.releases.failing
        match name:
            case "no such tag":
                world.engine.failing["distribution"] = EngineRefused("manifest unknown", 404)
                world.engine.failing["pull"] = EngineRefused("manifest unknown", 404)
            case "a pull that breaks":
                registry[NEW] = Recipe(pull_error="no space left on device")
            case "another platform":
                registry[NEW] = image_of("3.1.0", 31, platform="linux/arm64")
            case "no label":
                registry[NEW] = image_of("3.1.0", 31, label="")
            case "another version":
                registry[NEW] = image_of("3.0.9", 31)
            case "no release":
                registry[NEW] = Recipe(config=image_of("3.1.0", 31).config)
            case "something hostile":
                refuse["unpack"] = ReleaseRefused("start.py is a symbolic link")
            case "a bad signature":
                refuse["verify"] = ReleaseRefused("its signature is wrong")
            case "two versions":
                registry[NEW] = image_of("3.2.0", 31, label="3.1.0")
            case "a full disk":
                refuse["install"] = ReleaseRefused("/data/update is full")
            case "one that cannot run":
                refuse["self_check"] = ReleaseRefused("failed its self-check (status 3)")
            case "a launcher that refuses":
                world.supervised.refusal = "it is older than the security floor"
        world.start()
        await world.online()
        if stage == "switch":
            assert await world.ask() == STARTED
        else:
            with pytest.raises(RequestFailed, match=why):
                await world.ask()
        await world.settled()
        await world.until("connected")
        await asyncio.sleep(5)
        assert world.left_over() == []
        ends = progress(world)
        if stage == "switch":
            assert ends == [
                ("failed", f"the launcher refused release 3.1.0: {world.supervised.refusal}")
            ]
        else:
            assert ends == []
        world.engine.failing.clear()
        refuse.clear()
        registry[NEW] = image_of("3.1.0", 31)
        world.supervised.refusal = ""
        assert await world.ask() == STARTED  # and the next one finds nothing in its way
        await world.ends()


async def test_what_a_slot_cannot_carry() -> None:
    """Another Python takes another container: the reply has the command for that."""
    async with SelfUpdateWorld() as world:
        text = "the release is not taken: it needs Python cpython-313: recreate needed"
        world.releases.failing["verify"] = ReleaseRefused(text, needs_recreation=True)
        world.start()
        await world.online()
        with pytest.raises(RequestFailed, match=r"recreate needed; on the host: docker pull"):
            await world.ask()


async def test_the_release_that_runs() -> None:
    """There is nothing to do, which is a success: no restart, nothing left."""
    async with SelfUpdateWorld() as world:
        world.engine.registry[NEW] = image_of("3.1.0", 30)
        world.start()
        host = await world.online()
        assert await world.ask() == STARTED
        await world.until("connected")
        await world.settled()
        await asyncio.sleep(1)
        assert world.left_over() == []
        assert progress(world) == [("complete", "")]
        assert host.connections == 1


async def test_an_image_that_was_there_before() -> None:
    """It is somebody's, and stays."""
    async with SelfUpdateWorld() as world:
        world.start()
        await world.online()
        digest = world.engine.image_store.distribution(NEW)["Descriptor"]["digest"]
        kept = world.engine.image_store.add(f"registry.test/team/agent@{digest}")
        await world.ask()
        await world.ends()
        assert kept.id in world.engine.image_store.images


async def test_a_proxy_that_forbids_the_question() -> None:
    """Then the tag is pulled, and what it meant by then is what is taken."""
    async with SelfUpdateWorld() as world:
        world.engine.failing["distribution"] = EngineRefused(
            "Forbidden by administrative rules", 403
        )
        world.start()
        await world.online()
        assert await world.ask() == STARTED
        await world.ends()
        assert ("pull", NEW) in world.engine.actions
        assert world.left_over() == [f"slot {build(31)}"]


async def test_a_registry_with_users() -> None:
    """Both questions carry the credentials of that registry, and no other's."""
    async with SelfUpdateWorld() as world:
        world.logins = {"registry.test": RegistryAuth("ci", "s3cret", "registry.test")}
        world.start()
        await world.online()
        await world.ask()
        await world.ends()
        assert [user for _, user in world.engine.image_store.logins] == ["ci", "ci"]


# The acknowledgement


async def test_a_pull_that_takes_long() -> None:
    """After two minutes the server is told that it has begun; it waits for two and a half."""
    async with SelfUpdateWorld() as world:
        world.engine.delay_s["pull"] = 200
        world.start()
        await world.online()
        begun_s = asyncio.get_running_loop().time()
        assert await world.ask() == STARTED
        assert asyncio.get_running_loop().time() - begun_s == pytest.approx(120, abs=1)
        await world.ends(within_s=200)
        assert world.way() == WHOLE_WAY


async def test_a_failure_after_the_acknowledgement() -> None:
    """It goes to the host's log by way of the journal, for no reply can tell it any more."""
    async with SelfUpdateWorld() as world:
        world.engine.delay_s["pull"] = 200
        world.releases.failing["verify"] = ReleaseRefused("its signature is wrong")
        world.start()
        host = await world.online()
        assert await world.ask() == STARTED
        await world.until("connected", within_s=200)
        await asyncio.sleep(5)
        assert progress(world) == [("failed", "its signature is wrong")]
        assert "Agent self-update failed" in world.hub.log(host.id)[-1].text
        assert world.left_over() == []


async def test_changes_during_the_drain() -> None:
    """Changing commands are refused for the last seconds, and those under way are finished; reads are answered."""
    async with SelfUpdateWorld() as world:
        box = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        world.releases.delay_s["self_check"] = 3
        world.engine.delay_s["stop"] = 5
        updating = asyncio.gather(world.ask())
        await asyncio.sleep(2)
        stopping = asyncio.gather(world.hub.request(host.id, "stop", {"container_id": box[:12]}))
        await world.until("draining", chart="self_update")
        with pytest.raises(RequestFailed, match=r"^busy: "):
            await world.hub.request(host.id, "start", {"container_id": box[:12]})
        listed = await world.hub.request(host.id, "list_containers")
        assert len(listed) == 2
        assert (await updating)[0] == STARTED
        await stopping
        await world.ends()
        assert world.engine.boxes[box].status == "exited"


async def test_a_container_that_is_being_updated() -> None:
    """It is waited for: its update would otherwise go over to a release that may not know it."""
    async with SelfUpdateWorld() as world:
        world.engine.registry["paper:2.5"] = Recipe(health=[(30, "healthy")])
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        other = asyncio.gather(world.hub.update_container(host.id, web, "paper:2.5"))
        await asyncio.sleep(5)
        assert await world.ask() == STARTED
        assert (await other)[0].success
        await world.ends()
        assert world.way() == WHOLE_WAY


# Links that break, agents that die

BEFORE_THE_SWITCH = [
    state
    for state, spec in Chart.load("self_update").states.items()
    if not spec.final and state not in ("downloading", "switching", "cleaning", "dismissing")
]

SLOW = {
    "preparing": ("releases", "obstacle"),
    "resolving": ("engine", "distribution"),
    "pulling": ("engine", "pull"),
    "checking": ("engine", "inspect_image"),
    "extracting": ("engine", "archive"),
    "verifying": ("releases", "verify"),
    "installing": ("releases", "install"),
    "self_checking": ("releases", "self_check"),
}


def slow_down(world: SelfUpdateWorld, state: str) -> None:
    if state in SLOW:
        part, method = SLOW[state]
        (world.engine if part == "engine" else world.releases).delay_s[method] = 8.0


async def keep_busy(world: SelfUpdateWorld, state: str) -> None:
    """What is drained has to take a moment, or the state is over before anybody sees it."""
    if state == "draining":
        world.engine.delay_s["stop"] = 25.0
        [host] = world.hub.hosts.values()
        box = world.engine.add("busy", running=True)
        with contextlib.suppress(RequestFailed):
            await world.hub.request(host.id, "stop", {"container_id": box[:12]})


@pytest.mark.parametrize("state", BEFORE_THE_SWITCH)
async def test_a_link_that_is_cut(state: str) -> None:
    """Nothing has been switched: it is cancelled, nothing is left, and the agent comes back as what it was."""
    async with SelfUpdateWorld() as world:
        slow_down(world, state)
        world.start()
        host = await world.online()
        asking = asyncio.gather(world.ask(), keep_busy(world, state), return_exceptions=True)
        await world.until_in("self_update", state)
        world.hub.faults.cut(host)
        await world.until("backoff")
        await world.until("connected")
        await world.settled()
        await asking
        assert world.supervised.switches == []
        assert world.left_over() == []
        assert world.way()[-1] == "cancelled"


async def test_a_link_that_is_cut_during_the_switch() -> None:
    """The launcher may have said yes: its answer counts, and the agent ends."""
    async with SelfUpdateWorld() as world:
        world.supervised.takes_s = 5
        world.start()
        host = await world.online()
        await world.ask()
        await world.until_in("self_update", "switching")
        world.hub.faults.cut(host)
        await world.ends()
        assert world.way()[-1] == "handed_over"


@pytest.mark.parametrize("state", [*BEFORE_THE_SWITCH, "switching", "cleaning"])
async def test_an_agent_that_is_killed(state: str) -> None:
    """Whatever the moment, what runs next leaves nothing of it behind, and the next update goes through."""
    async with SelfUpdateWorld() as world:
        slow_down(world, state)
        if state == "cleaning":
            world.releases.failing["verify"] = ReleaseRefused("its signature is wrong")
            world.releases.delay_s["discard"] = 5
        world.supervised.takes_s = 5
        world.start()
        await world.online()
        asking = asyncio.gather(world.ask(), keep_busy(world, state), return_exceptions=True)
        await world.until_in("self_update", state)
        await asyncio.sleep(0.5 if state in SLOW or state in ("switching", "cleaning") else 0)
        await world.kill()
        world.engine.delay_s.clear()
        world.releases.delay_s.clear()
        world.releases.failing.clear()
        world.releases.slots.clear()  # by the launcher: nobody refers to them
        world.next_start(launch())
        await world.online()
        await asyncio.sleep(30)
        assert world.left_over() == []
        await asyncio.wait({asking}, timeout=200)
        assert await world.ask() == STARTED
        await world.ends()
        assert world.left_over() == [f"slot {build(31)}"]


async def test_containers_of_agents_that_are_gone() -> None:
    """After an hour nobody will come back for what was to be copied out; what is younger may be in use."""
    async with SelfUpdateWorld(poll_s=10) as world:
        world.engine.add("of-another", config={"Labels": {EXTRACT_LABEL: "ab" * 32}})
        world.engine.add("started", running=True, config={"Labels": {EXTRACT_LABEL: "ab" * 32}})
        world.start()
        host = await world.online()
        await asyncio.sleep(5)
        assert {box.name for box in world.engine.boxes.values()} == {
            "agent",
            "of-another",
            "started",
        }
        await asyncio.sleep(3600)
        world.hub.faults.cut(host)
        await world.until("backoff")
        await world.online()
        await asyncio.sleep(5)
        assert {box.name for box in world.engine.boxes.values()} == {"agent", "started"}


async def test_a_launcher_that_does_not_answer() -> None:
    """What it did is not known: the slot stays, for it may be on trial."""
    async with SelfUpdateWorld() as world:
        world.supervised.refusal = None
        world.start()
        await world.online()
        assert await world.ask() == STARTED
        await world.until("connected", within_s=100)
        assert world.left_over() == [f"slot {build(31)}"]


# Natively


async def test_a_native_update() -> None:
    """The file is fetched and goes the same way; the capability stays false."""
    async with SelfUpdateWorld(contained=False) as world:
        world.releases.files = {
            "manifest.json": b'{"build_id": "%s", "version": "3.1.0"}' % build(31).encode()
        }
        world.start()
        host = await world.online()
        assert host.registration["capabilities"]["self_update"] is False
        url, checksum = "https://example.com/agent-3.1.0.pyz", "ab" * 32
        assert await world.ask(binary_url=url, checksum=checksum) == STARTED
        await world.ends()
        assert world.releases.fetched == [(url, checksum)]
        assert world.way() == ["downloading", *WHOLE_WAY[WHOLE_WAY.index("verifying") :]]
        assert world.left_over() == [f"slot {build(31)}"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "needs binary_url"),
        ({"binary_url": "http://example.com/a.pyz", "checksum": "ab" * 32}, "not https"),
        ({"binary_url": "https://example.com/a.pyz"}, "checksum is missing"),
        (
            {"image": "ghcr.io/darthnorse/dockmon-agent:2.4.5", "binary_url": "https://e.com/a"},
            "another product",
        ),
    ],
)
async def test_a_native_update_that_is_refused(changes: dict[str, str], why: str) -> None:
    """Nothing is fetched that could be changed on the way, and nothing that is known to be another product."""
    async with SelfUpdateWorld(contained=False) as world:
        world.start()
        await world.online()
        with pytest.raises(RequestFailed, match=why):
            await world.ask(**changes)
        assert world.releases.fetched == []


async def test_a_heartbeat_would_be_a_lie() -> None:
    """Between the acknowledgement and the restart the server would take it for the end: we never send one."""
    async with SelfUpdateWorld() as world:
        world.start()
        await world.online()
        await world.ask()
        await world.ends()
        sent = [entry.frame.get("type") for entry in world.hub.journal if entry.direction == "in"]
        assert "heartbeat" not in sent
