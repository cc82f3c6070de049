"""Pulls by the engine adapter: the image, the credentials, the progress, and what breaks off."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from fakes.scripted_engine import Exchange, ScriptedEngine, holding, replying, sending, streaming

from agent.adapters.engine import DockerEngine, Endpoint
from agent.adapters.engine.progress import PENDING_MAX, ProgressFeed
from agent.ports import (
    EngineBusy,
    EngineError,
    EngineRefused,
    EngineUnreachable,
    Json,
    RegistryAuth,
)

pytestmark = pytest.mark.real_time

DEADLINE_S = 10.0
ID = "4f1c" * 16
LOGIN = RegistryAuth("ann", "s3cret?>", "registry.example")


@pytest.mark.parametrize(
    ("image", "query"),
    [
        ("busybox", {"fromImage": "busybox", "tag": "latest"}),
        ("registry.example:5000/a:1", {"fromImage": "registry.example:5000/a", "tag": "1"}),
        (f"a@sha256:{ID}", {"fromImage": "a", "tag": f"sha256:{ID}"}),
    ],
)
async def test_one_image_is_pulled(
    scripted: ScriptedEngine, engine: DockerEngine, image: str, query: dict[str, str]
) -> None:
    """Without a tag it is `latest`, and never every tag there is; progress is read to its end."""
    steps = (b'{"status":"Pulling"}\r\n{"stat', b'us":"Done"}\r\n', b"babble\n[]\n")
    scripted.on("POST", "/images/create", streaming(*steps))
    await engine.pull(image, deadline_s=DEADLINE_S)
    assert scripted.asked[-1].query == query


@pytest.mark.parametrize(
    ("line", "text", "status"),
    [
        (
            b'{"errorDetail":{"message":"no space left"},"error":"no space left"}',
            "no space left",
            500,
        ),
        (b'{"errorDetail":{"code":401,"message":"unauthorized"}}', "unauthorized", 401),
        (b'{"error":"manifest unknown"}\r\n', "manifest unknown", 500),
        (b'{"error":{"odd":1}}\n', "{'odd': 1}", 500),
    ],
)
async def test_an_error_in_the_middle_of_a_pull(
    scripted: ScriptedEngine, engine: DockerEngine, line: bytes, text: str, status: int
) -> None:
    """The answer began with 200; the error comes in-band, and its last line may lack an end."""
    scripted.on("POST", "/images/create", streaming(b'{"status":"Pulling"}\r\n', line))
    with pytest.raises(EngineRefused) as refusal:
        await engine.pull("busybox", deadline_s=DEADLINE_S)
    assert (str(refusal.value), refusal.value.status) == (text, status)


async def test_a_pull_that_breaks_off(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """A stream without its end is an engine that went away, and no success."""
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n"
    scripted.on("POST", "/images/create", sending(start))
    with pytest.raises(EngineUnreachable):
        await engine.pull("busybox", deadline_s=DEADLINE_S)


async def test_a_cancelled_pull_is_hung_up_on(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """At once, however silent it is: the engine ends a pull that nobody listens to."""

    def pull(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.chunk(b'{"status":"Downloading"}\n')
        exchange.wait_for_hang_up()

    scripted.on("POST", "/images/create", pull)
    scripted.on("GET", "/containers/json", replying(200, []))
    began = asyncio.Event()
    call = asyncio.ensure_future(  # noqa: TID251  a test's own
        engine.pull("busybox", deadline_s=60, progress=lambda _: began.set())
    )
    async with asyncio.timeout(DEADLINE_S):
        await began.wait()
    call.cancel()
    await asyncio.wait([call])
    await scripted.until_hung_up()
    await engine.containers(deadline_s=DEADLINE_S)
    assert [each.path for each in scripted.asked].count(
        "/version"
    ) == 1  # the engine is still there


async def test_a_line_without_an_end_is_not_gathered(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Megabytes without a newline are no progress: memory has a bound."""
    scripted.on("POST", "/images/create", streaming(*[b"x" * 65536] * 100))
    with pytest.raises(EngineRefused, match="a line without an end"):
        await engine.pull("busybox", deadline_s=DEADLINE_S)


async def test_a_third_pull_is_one_too_many(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """Two run and none waits, for a pull can take an hour."""
    scripted.on("POST", "/images/create", holding)
    pulls = [
        asyncio.ensure_future(engine.pull("busybox", deadline_s=DEADLINE_S))  # noqa: TID251  a test's own
        for _ in range(2)
    ]
    await scripted.until_held(2)
    with pytest.raises(EngineBusy, match="2 pulls are under way"):
        await engine.pull("busybox", deadline_s=DEADLINE_S)
    scripted.let_go.set()
    answers = await asyncio.gather(*pulls, return_exceptions=True)
    assert all(isinstance(answer, EngineError) for answer in answers)


# --- Credentials


async def test_credentials_go_along_when_they_are_given(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """As a header of base64 in the alphabet for URLs, and nowhere else."""
    scripted.on("POST", "/images/create", streaming(b'{"status":"Done"}\n'))
    await engine.pull("registry.example/a:1", auth=LOGIN, deadline_s=DEADLINE_S)
    asked = scripted.asked[-1]
    header = asked.headers["x-registry-auth"]
    assert json.loads(base64.urlsafe_b64decode(header)) == {
        "username": "ann",
        "password": "s3cret?>",
        "serveraddress": "registry.example",
    }
    assert set("+/").isdisjoint(header)
    assert asked.query == {"fromImage": "registry.example/a", "tag": "1"}


async def test_credentials_that_docker_has_stored_stay_where_they_are(
    scripted: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the operator's own: a pull without credentials is one without credentials."""
    stored = {"auths": {"registry.example": {"auth": base64.b64encode(b"ann:own").decode()}}}
    (tmp_path / "config.json").write_text(json.dumps(stored))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    scripted.on("POST", "/images/create", streaming(b'{"status":"Done"}\n'))
    engine = DockerEngine(Endpoint.parse(scripted.address))
    await engine.pull("registry.example/a:1", deadline_s=DEADLINE_S)
    await engine.close()
    assert "x-registry-auth" not in scripted.asked[-1].headers


@pytest.mark.parametrize("is_in_band", [True, False])
async def test_a_password_is_never_quoted(
    scripted: ScriptedEngine, engine: DockerEngine, is_in_band: bool
) -> None:
    """Whatever a registry makes of it."""
    said = "unauthorized: ann:s3cret?> is wrong"
    line = json.dumps({"errorDetail": {"code": 401, "message": said}}).encode()
    script = streaming(line) if is_in_band else replying(401, {"message": said})
    scripted.on("POST", "/images/create", script)
    with pytest.raises(EngineRefused) as refusal:
        await engine.pull("registry.example/a:1", auth=LOGIN, deadline_s=DEADLINE_S)
    assert (str(refusal.value), refusal.value.status) == ("unauthorized: ann:*** is wrong", 401)
    assert refusal.value.__cause__ is None
    assert "s3cret" not in repr(LOGIN)


# --- Progress


async def test_progress_is_told_in_order_and_to_its_end(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Before the pull returns, on the loop's thread; of what comes at once the newest of each layer's state."""
    steps = [
        {"status": "Pulling from a", "id": "1"},
        {"status": "Downloading", "id": "aa", "progressDetail": {"current": 1, "total": 9}},
        {"status": "Downloading", "id": "bb", "progressDetail": {"current": 1, "total": 5}},
        {"status": "Downloading", "id": "aa", "progressDetail": {"current": 9, "total": 9}},
        {"status": "Pull complete", "id": "aa", "progressDetail": {}},
        {"status": "Status: Downloaded newer image for a:1"},
    ]
    lines = b"".join(json.dumps(step).encode() + b"\r\n" for step in steps)
    scripted.on("POST", "/images/create", streaming(b"babble\n[]\n", lines))
    told: list[Json] = []
    loop = asyncio.get_running_loop()

    def tell(step: Json) -> None:
        assert asyncio.get_running_loop() is loop
        told.append(step)

    await engine.pull("a:1", deadline_s=DEADLINE_S, progress=tell)
    assert told == [steps[0], steps[2], steps[3], steps[4], steps[5]]


async def test_progress_is_told_while_the_pull_goes_on(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Whoever waits sees each step within moments."""

    def pull(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.chunk(b'{"status":"Downloading","id":"aa"}\n')
        exchange.hold()
        exchange.chunk(b"")

    scripted.on("POST", "/images/create", pull)
    told = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.pull("a:1", deadline_s=DEADLINE_S, progress=lambda _: told.set()))
        async with asyncio.timeout(DEADLINE_S):
            await told.wait()
        scripted.let_go.set()


async def test_nothing_is_told_of_a_pull_that_nobody_awaits() -> None:
    """Progress that comes after the caller was cancelled, or its deadline passed, is dropped."""
    feed = ProgressFeed(lambda _: pytest.fail("told"))
    feed.feed({"status": "Downloading", "id": "aa"})
    feed.close()
    feed.feed({"status": "Downloading", "id": "bb"})
    feed.flush()


async def test_steps_that_nobody_takes_have_a_bound() -> None:
    """A loop that is busy finds the newest, however many there were."""
    told: list[Json] = []
    feed = ProgressFeed(told.append)
    for number in range(PENDING_MAX + 500):
        feed.feed({"status": "Odd", "id": str(number)})
    feed.flush()
    feed.close()
    assert [step["id"] for step in told] == [str(500 + number) for number in range(PENDING_MAX)]
