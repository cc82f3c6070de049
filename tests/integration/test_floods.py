"""Floods on a real engine: what is bounded stays so, everybody is answered meanwhile, and no event is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
import pytest
from engine import Container, Containers
from integration.served import Served

from agent.core.replies import MAX_MESSAGE_BYTES

PATIENCE_S = 60.0
"""A busy machine may take its time; a test that passes never waits this long."""

TALKATIVE = ("sh", "-c", "trap 'exit 0' TERM; yes $(head -c 900 /dev/zero | tr '\\0' x) & wait")

ROTATED = {"log_config": {"type": "json-file", "config": {"max-size": "20m", "max-file": "2"}}}
"""As much as the newest lines of a log need, and no disk that runs full."""

STANDS_STILL = """
until [ -n "$now" ] && [ "$now" = "$before" ]; do
    before=$now
    sleep 0.5
    now=$(sed -n 's/wchar: //p' /proc/$(pidof seq)/io)
done
echo $now
"""
"""Waits until the process that floods a terminal gets rid of nothing any more; says of how many bytes it has so far."""

MANY = 40
"""Containers that start at once: what a small machine stands."""

EXECS = 40


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


async def on(threads: ThreadPoolExecutor, work: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(threads, work, *args)


async def has_written(container: Container, served: Served) -> None:
    """Returns once the container has more to show than a reply asks for."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            reply = await served.ask("get_logs", container_id=container.id, tail=10_000)
            if reply["logs"].count("\n") == 9_999:
                return
            await asyncio.sleep(0.1)


async def confirmed(served: Served) -> None:
    """Returns once every event that the server has is known to have arrived there, and is not sent again."""
    async with asyncio.timeout(PATIENCE_S):
        while served.agent.delivery.delivered < len(served.hub.events(served.host.id)):
            await asyncio.sleep(0.05)


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
    shell = await served.hub.open_shell(served.host.id, web.id)
    await shell.send("stty -echo; echo ready-$((40+2)); seq 100000000\n")
    await shell.shows("ready-42", PATIENCE_S)
    for _ in range(20):
        assert any(each["Id"] == web.id for each in await served.ask("list_containers"))
    served.hub.faults.stop_reading(served.host)
    command = ["timeout", f"{PATIENCE_S:.0f}", "sh", "-c", STANDS_STILL]
    stood_at_bytes = int(await on(threads, output, docker_client, web.id, command))
    served.hub.faults.heal()
    async with asyncio.timeout(PATIENCE_S):
        while len(shell.output) < 2 * stood_at_bytes:
            await asyncio.sleep(0.1)
        await shell.close()
        while b"seq" in await on(threads, output, docker_client, web.id, ["ps"]):
            await asyncio.sleep(0.1)
    assert served.host.connections == 1
    numbers = shell.text.partition("ready-42\r\n")[2].split("\r\n")[:-1]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


async def test_many_containers_that_start_at_once(
    served: Served,
    containers: Containers,
    docker_client: docker.APIClient,
    threads: ThreadPoolExecutor,
) -> None:
    """Each start is told once, and whoever asks meanwhile is answered."""
    made = [containers.create("storm").id for _ in range(MANY)]
    async with asyncio.TaskGroup() as storm:
        starting = [storm.create_task(on(threads, docker_client.start, id_)) for id_ in made]
        while not all(task.done() for task in starting):
            assert {each["Id"] for each in await served.ask("list_containers")} >= set(made)
    for id_ in made:
        await served.events(id_, "started", within_s=PATIENCE_S)


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
    await confirmed(served)
    loop, stalled = asyncio.get_running_loop(), served.host.link
    assert stalled is not None
    served.hub.faults.stop_reading(served.host)
    wanted = {"container_id": talkative.id, "tail": 10_000}
    reply = loop.create_task(served.ask("get_logs", **wanted))
    for _ in range(5):
        await on(threads, docker_client.restart, web.id)
    assert (await reply)["logs"].count("\n") == 9_999
    assert served.host.connections == 2
    stalled.shut()  # it would wait for its close frame to be answered
    restarted = ("stopped", "started", "restarted")
    await served.events(web.id, "started", *restarted * 5, within_s=PATIENCE_S)


def output(client: docker.APIClient, container_id: str, command: list[str]) -> bytes:
    """What a command writes that is run in a container."""
    said: bytes = client.exec_start(client.exec_create(container_id, command)["Id"])
    return said
