"""Floods on a real engine: what is bounded stays so, everybody is answered meanwhile, and no event is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
import pytest
from engine import LABEL, Container, Containers
from integration.served import Served

from agent.core.replies import MAX_MESSAGE_BYTES

PATIENCE_S = 60.0
"""A busy machine may take its time; a test that passes never waits this long."""

TALKATIVE = ("sh", "-c", "trap 'exit 0' TERM; yes $(head -c 900 /dev/zero | tr '\\0' x) & wait")

ROTATED = {"log_config": {"type": "json-file", "config": {"max-size": "20m", "max-file": "2"}}}
"""As much as the newest lines of a log need, and no disk that runs full."""

COUNTING = "n=0; while :; do n=$((n+1)); echo $n; echo $n > /tmp/n; done"
"""Floods a terminal, and says beside it how far it got."""

MANY = 40
"""Containers that start at once: what a small machine stands."""

EXECS = 40


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


async def on(threads: ThreadPoolExecutor, work: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(threads, work, *args)


class Told:
    """What the engine itself tells of its containers' starts, in its order."""

    def __init__(self, client: docker.APIClient, threads: ThreadPoolExecutor) -> None:
        filters = {"type": "container", "event": "start", "label": LABEL}
        self._stream = client.events(decode=True, filters=filters)
        self.started: list[str] = []
        self._reading = threads.submit(self._read)

    def _read(self) -> None:
        for event in self._stream:
            self.started.append(event["Actor"]["ID"])

    def close(self) -> None:
        self._stream.close()
        self._reading.result(PATIENCE_S)


async def has_written(container: Container, served: Served) -> None:
    """Returns once the container has more to show than a reply asks for."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            reply = await served.ask("get_logs", container_id=container.id, tail=10_000)
            if reply["logs"].count("\n") == 9_999:
                return
            await asyncio.sleep(0.1)


async def test_a_container_that_floods_its_log(served: Served, containers: Containers) -> None:
    """Its newest lines in a reply that fits, though more come all the time; others are answered meanwhile."""
    container = containers.run("talkative", TALKATIVE, host=ROTATED)
    await has_written(container, served)
    async with asyncio.TaskGroup() as asking:
        wanted = {"container_id": container.id, "tail": 10_000}
        logs = [asking.create_task(served.ask("get_logs", **wanted)) for _ in range(4)]
        lists = [asking.create_task(served.ask("list_containers")) for _ in range(4)]
    for task in logs:
        text = task.result()["logs"]
        assert len(text) < MAX_MESSAGE_BYTES
        stamps = [line.partition(" ")[0] for line in text.split("\n")]
        assert len(stamps) == 10_000
        assert stamps == sorted(stamps)
    for task in lists:
        assert any(each["Id"] == container.id for each in task.result())


async def test_a_shell_that_floods_its_terminal(
    served: Served,
    containers: Containers,
    docker_client: docker.APIClient,
    threads: ThreadPoolExecutor,
) -> None:
    """When nobody reads, the process waits; when somebody does again, it goes on, and not a line is missing."""
    web = containers.run("web")

    async def reached() -> int:
        return int(await on(threads, read_file, docker_client, web.id, "/tmp/n") or 0)

    async def stands_still() -> int:
        async with asyncio.timeout(PATIENCE_S):
            while (before := await reached()) == 0 or before != await reached_later():
                pass
            return before

    async def reached_later() -> int:
        await asyncio.sleep(1)
        return await reached()

    shell = await served.hub.open_shell(served.host.id, web.id)
    await shell.send(f"stty -echo; echo ready-$((40+2)); {COUNTING}\n")
    await shell.shows("ready-42", PATIENCE_S)
    for _ in range(20):
        assert any(each["Id"] == web.id for each in await served.ask("list_containers"))
    served.hub.faults.stop_reading(served.host)
    stood_at = await stands_still()
    served.hub.faults.heal()
    await shell.shows(f"\n{stood_at + 1000}\r\n", PATIENCE_S)
    await shell.close()
    numbers = shell.text.partition("ready-42\r\n")[2].split("\r\n")[:-1]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


async def test_many_containers_that_start_at_once(
    served: Served,
    containers: Containers,
    docker_client: docker.APIClient,
    threads: ThreadPoolExecutor,
) -> None:
    """Each start is told once, in the engine's own order, and whoever asks meanwhile is answered."""
    made = [containers.create("storm") for _ in range(MANY)]
    told = Told(docker_client, threads)
    with contextlib.closing(told):
        starting = [on(threads, docker_client.start, each.id) for each in made]
        async with asyncio.TaskGroup() as storm:
            begun = [storm.create_task(each) for each in starting]
            while not all(task.done() for task in begun):
                listed = {each["Id"] for each in await served.ask("list_containers")}
                assert listed >= {each.id for each in made}
        for each in made:
            await served.events(each.id, "started", within_s=PATIENCE_S)
    mine = {each.id[:12] for each in made}
    expected = [id_[:12] for id_ in told.started if id_[:12] in mine]
    events = served.hub.events(served.host.id)
    assert [e["container_id"] for e in events if e["container_id"] in mine] == expected


async def test_many_execs(
    served: Served,
    containers: Containers,
    docker_client: docker.APIClient,
    threads: ThreadPoolExecutor,
) -> None:
    """Three events for each are no news: the server is told of the container's life alone."""
    web = containers.run("web")

    def execute() -> None:
        docker_client.exec_start(docker_client.exec_create(web.id, ["true"])["Id"])

    await asyncio.gather(*(on(threads, execute) for _ in range(EXECS)))
    await on(threads, docker_client.stop, web.id)
    await served.events(web.id, "started", "stopped")


async def test_a_server_that_stops_reading_in_the_middle_of_a_reply(
    served: Served,
    containers: Containers,
    docker_client: docker.APIClient,
    threads: ThreadPoolExecutor,
) -> None:
    """The link is made anew; the reply and all that happened meanwhile come over the next one, in order."""
    talkative = containers.run("talkative", TALKATIVE, host=ROTATED)
    await has_written(talkative, served)
    web = containers.run("web")
    await served.events(web.id, "started")
    served.hub.faults.stop_reading(served.host)
    loop = asyncio.get_running_loop()
    wanted = {"container_id": talkative.id, "tail": 10_000}
    reply = loop.create_task(served.ask("get_logs", **wanted))
    for _ in range(5):
        await on(threads, docker_client.restart, web.id)
    assert (await reply)["logs"].count("\n") == 9_999
    assert served.host.connections == 2
    restarted = ("stopped", "started", "restarted")
    await served.events(web.id, "started", *restarted * 5, within_s=PATIENCE_S)


def read_file(client: docker.APIClient, container_id: str, path: str) -> bytes:
    """What is in a file of a container that runs, as far as it has one."""
    running = client.exec_create(container_id, ["cat", path], stderr=False)["Id"]
    content: bytes = client.exec_start(running)
    return content
