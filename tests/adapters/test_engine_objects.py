"""The engine adapter's requests about images, networks, volumes and counters, and the odd answers to them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fakes.scripted_engine import ScriptedEngine, holding, replying, sending

from agent.adapters.engine import DockerEngine
from agent.ports import EngineError, EngineRefused, EngineTimeout, NotFound

pytestmark = pytest.mark.real_time

DEADLINE_S = 10.0
SHORT_S = 0.1  # for calls that are to run into their deadline
ID = "4f1c" * 16

Call = Callable[[DockerEngine], Awaitable[Any]]

REQUESTS: list[tuple[Call, str, str, dict[str, str], Any]] = [
    (lambda e: e.stats("web", deadline_s=9), "GET", "/containers/web/stats",
     {"stream": "false", "one-shot": "true"}, None),
    (lambda e: e.images(deadline_s=9), "GET", "/images/json", {}, None),
    (lambda e: e.remove_image("a/b:1", force=True, deadline_s=9), "DELETE", "/images/a/b:1",
     {"force": "1"}, None),
    (lambda e: e.remove_image("a", force=False, deadline_s=9), "DELETE", "/images/a",
     {"force": "0"}, None),
    (lambda e: e.prune_images(deadline_s=9), "POST", "/images/prune",
     {"filters": '{"dangling": ["false"]}'}, None),
    (lambda e: e.networks(deadline_s=9), "GET", "/networks", {}, None),
    (lambda e: e.inspect_network(ID, deadline_s=9), "GET", f"/networks/{ID}", {}, None),
    (lambda e: e.remove_network("front", deadline_s=9), "DELETE", "/networks/front", {}, None),
    (lambda e: e.remove_network("my net", deadline_s=9), "DELETE", "/networks/my%20net", {}, None),
    (lambda e: e.prune_networks(deadline_s=9), "POST", "/networks/prune", {}, None),
    (lambda e: e.connect("front", "web", {"Aliases": ["a"]}, deadline_s=9), "POST",
     "/networks/front/connect", {}, {"Container": "web", "EndpointConfig": {"Aliases": ["a"]}}),
    (lambda e: e.disconnect("front", "web", force=True, deadline_s=9), "POST",
     "/networks/front/disconnect", {}, {"Container": "web", "Force": True}),
    (lambda e: e.volumes(deadline_s=9), "GET", "/volumes", {}, None),
    (lambda e: e.create_volume({"Name": "data"}, deadline_s=9), "POST", "/volumes/create",
     {}, {"Name": "data"}),
    (lambda e: e.remove_volume("data", force=True, deadline_s=9), "DELETE", "/volumes/data",
     {"force": "1"}, None),
    (lambda e: e.remove_volume("50%", force=False, deadline_s=9), "DELETE", "/volumes/50%25",
     {"force": "0"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("call", "method", "path", "query", "body"), REQUESTS)
async def test_each_call_is_one_request(
    scripted: ScriptedEngine,
    engine: DockerEngine,
    call: Call,
    method: str,
    path: str,
    query: dict[str, str],
    body: Any,
) -> None:
    """Nothing is asked that was not needed, and nothing goes along that was not asked for."""
    is_list = path in ("/images/json", "/networks")
    scripted.on(method, path, replying(200, [] if is_list else {}))
    await call(engine)
    [asked] = [each for each in scripted.asked if each.path != "/version"]
    assert (asked.method, asked.path, asked.query, asked.body) == (method, path, query, body)


async def test_a_network_is_created_once(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """An old engine makes a second one of the same name unless it is told to look."""
    scripted.on("POST", "/networks/create", replying(201, {"Id": ID, "Warning": ""}))
    config = {"Name": "front", "Internal": True}
    assert await engine.create_network(config, deadline_s=DEADLINE_S) == ID
    assert scripted.asked[-1].body == {**config, "CheckDuplicate": True}
    assert config == {"Name": "front", "Internal": True}
    scripted.on("POST", "/networks/create", replying(201, {}))
    with pytest.raises(EngineRefused, match="no ID of the network"):
        await engine.create_network(config, deadline_s=DEADLINE_S)


@pytest.mark.parametrize(
    ("api", "query"),
    [
        ("1.40", {}),
        ("1.41", {}),
        ("1.42", {"filters": '{"all": ["true"]}'}),
        ("1.44", {"filters": '{"all": ["true"]}'}),
    ],
)
async def test_volumes_with_a_name_are_pruned_by_every_engine(
    scripted: ScriptedEngine, engine: DockerEngine, api: str, query: dict[str, str]
) -> None:
    """From API 1.42 on they are spared unless it is said; before, an engine does not know the filter."""
    scripted.on("GET", "/version", replying(200, {"ApiVersion": api, "MinAPIVersion": "1.24"}))
    scripted.on("POST", "/volumes/prune", replying(200, {"VolumesDeleted": ["data"]}))
    pruned = await engine.prune_volumes(deadline_s=DEADLINE_S)
    assert pruned == {"VolumesDeleted": ["data"]}
    assert scripted.asked[-1].query == query


@pytest.mark.parametrize(
    ("answer", "volumes"),
    [
        ({"Volumes": None, "Warnings": None}, []),
        ({}, []),
        ({"Volumes": [{"Name": "data"}]}, [{"Name": "data"}]),
    ],
)
async def test_no_volumes_are_an_empty_list(
    scripted: ScriptedEngine,
    engine: DockerEngine,
    answer: dict[str, object],
    volumes: list[dict[str, str]],
) -> None:
    """Engines say null for it."""
    scripted.on("GET", "/volumes", replying(200, answer))
    assert await engine.volumes(deadline_s=DEADLINE_S) == volumes


async def test_volumes_that_are_none(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """What is no list of objects is no engine's answer."""
    scripted.on("GET", "/volumes", replying(200, {"Volumes": ["data"]}))
    with pytest.raises(EngineRefused, match="is no Docker engine"):
        await engine.volumes(deadline_s=DEADLINE_S)


async def test_the_version_that_is_spoken(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """As two numbers; asked of the engine only if it was not yet."""
    assert await engine.api_version(deadline_s=DEADLINE_S) == (1, 41)
    assert await engine.api_version(deadline_s=DEADLINE_S) == (1, 41)
    assert len(scripted.asked) == 1


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../containers/web", "a\\b", "a\nb", "\0"])
async def test_what_cannot_be_a_name_is_never_part_of_a_path(
    scripted: ScriptedEngine, engine: DockerEngine, name: str
) -> None:
    """There is no such network or volume, and the engine is not even asked."""
    for call in (
        engine.inspect_network(name, deadline_s=DEADLINE_S),
        engine.remove_network(name, deadline_s=DEADLINE_S),
        engine.connect(name, "web", {}, deadline_s=DEADLINE_S),
        engine.disconnect(name, "web", force=False, deadline_s=DEADLINE_S),
    ):
        with pytest.raises(NotFound, match="No such network"):
            await call
    with pytest.raises(NotFound, match="No such volume"):
        await engine.remove_volume(name, force=True, deadline_s=DEADLINE_S)
    assert scripted.asked == []


@pytest.mark.parametrize("name", ["web?force=1", "a#b", "a%2Fb", "%2e%2e", "höhle"])
async def test_what_could_be_a_name_stays_one_part_of_its_path(
    scripted: ScriptedEngine, engine: DockerEngine, name: str
) -> None:
    """No parameter, no fragment and no other resource is made of it."""
    with pytest.raises(NotFound):
        await engine.remove_volume(name, force=False, deadline_s=DEADLINE_S)
    [path] = scripted.paths()
    assert path.startswith("/volumes/")
    assert path.count("/") == 2
    assert scripted.asked[-1].query == {"force": "0"}


async def test_looking_at_counters_keeps_nobody_waiting(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """They have threads of their own: an engine that hangs over them still lists its containers."""
    scripted.on("GET", "/containers/web/stats", holding)
    scripted.on("GET", "/containers/json", replying(200, []))
    with pytest.raises(EngineTimeout):
        await engine.stats("web", deadline_s=SHORT_S)
    assert await engine.containers(deadline_s=DEADLINE_S) == []


# --- What a proxy in front of the engine forbids

PROBES = {"containers": "/start", "exec": "/resize", "images": "/tag"}


@pytest.mark.parametrize("forbidden", [set(), {"containers"}, {"exec", "images"}, PROBES.keys()])
async def test_what_is_forbidden_is_found_out(
    scripted: ScriptedEngine, engine: DockerEngine, forbidden: set[str]
) -> None:
    """By asking for changes of things that cannot exist: an engine does not find them, a proxy does not look."""
    answer_all(scripted, {kind: 403 if kind in forbidden else 404 for kind in PROBES})
    facts = await engine.facts(deadline_s=DEADLINE_S)
    assert facts.forbids == forbidden
    asked = [each for each in scripted.asked if each.method == "POST"]
    assert len(asked) == 3
    names = {each.path.split("/")[2] for each in asked}
    assert {len(name) for name in names} == {64}
    assert json.dumps([each.body for each in asked]) == "[null, null, null]"


@pytest.mark.parametrize("status", [200, 400, 404, 405, 500])
async def test_any_other_answer_forbids_nothing(
    scripted: ScriptedEngine, engine: DockerEngine, status: int
) -> None:
    """An order that is meant will run into it, and say so."""
    answer_all(scripted, dict.fromkeys(PROBES, status))
    assert (await engine.facts(deadline_s=DEADLINE_S)).forbids == frozenset()


async def test_a_probe_that_breaks_off_forbids_nothing(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """The facts are there all the same."""
    answer_all(scripted, {})
    scripted.on_any("POST", sending(b""))
    facts = await engine.facts(deadline_s=DEADLINE_S)
    assert (facts.engine_id, facts.forbids) == ("TVH4", frozenset())


def answer_all(scripted: ScriptedEngine, statuses: dict[str, int]) -> None:
    """An engine that tells its facts, and answers the probes so."""
    scripted.on("GET", "/info", replying(200, {"ID": "TVH4"}))
    scripted.on("GET", "/networks", replying(200, []))

    def probed(exchange: Any) -> None:
        kind = exchange.asked.path.split("/")[1]
        exchange.reply(statuses[kind], {"message": "so it is"})

    scripted.on_any("POST", probed)


async def test_every_error_is_the_ports_own(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """Whatever is asked of an engine that refuses it."""
    for method in ("GET", "POST", "DELETE"):
        scripted.on_any(method, replying(418, {"message": "a teapot"}))
    for call, *_ in REQUESTS:
        with pytest.raises(EngineError, match="a teapot"):
            await call(engine)
