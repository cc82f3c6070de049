"""Shells as they should not be used, from the browser to a real container: nothing is lost, nothing stays behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import docker
from engine import Container, Containers
from integration.served import Served, serve

from agent.hub.server import Hub
from agent.hub.shells import Shell

PATIENCE_S = 60.0
READY = "echo ready-$((40+2))\n"
"""Typed, it is echoed as it stands; `ready-42` is the answer of a shell."""


async def opened(served: Served, box: Container, *typed: str) -> Shell:
    """A shell that has done what was typed."""
    shell = await served.hub.open_shell(served.host.id, box.id, size=(101, 41))
    for line in (*typed, READY):
        await shell.send(line)
    await shell.shows("ready-42", PATIENCE_S)
    return shell


async def on_thread(call: Any, *args: Any, **kwargs: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, lambda: call(*args, **kwargs))


async def shells_in(client: docker.APIClient, box: Container) -> int:
    table = await on_thread(client.top, box.id)
    return sum(process[-1] == "sh" for process in table["Processes"])


async def until_none(client: docker.APIClient, box: Container) -> None:
    """Returns when no shell runs in the container."""
    async with asyncio.timeout(PATIENCE_S):
        while await shells_in(client, box):
            await asyncio.sleep(0.1)


async def test_a_large_paste(served: Served, containers: Containers) -> None:
    """A megabyte in one message arrives to the last byte."""
    shell = await opened(served, containers.run("web"), "stty -echo\n")
    await shell.send("cat >/pasted\n" + ("x" * 99 + "\n") * 10_000 + "\x04")
    await shell.send("wc -c /pasted\n")
    await shell.shows("1000000 /pasted", PATIENCE_S)


async def test_more_shells_than_there_may_be(
    served: Served, docker_client: docker.APIClient, containers: Containers
) -> None:
    """Sixteen open at once, each with its size, and the last of many sizes counts; the others are told why not."""
    web = containers.run("web")
    hub, host = served.hub, served.host.id
    shells = [await hub.open_shell(host, web.id, size=(101, 41)) for _ in range(20)]
    for shell in shells:
        await shell.started_or_ended(PATIENCE_S)
    refused = [shell for shell in shells if shell.error]
    assert {shell.error for shell in refused} == {
        "16 shells are open on this host already: close one of them"
    }
    assert len(refused) == 4
    working = [shell for shell in shells if not shell.error]
    for columns in range(200):
        await asyncio.gather(*(shell.resize(20 + columns, 24) for shell in working))
    await asyncio.gather(*(shell.send("stty size\n") for shell in working))
    for shell in working:
        await shell.shows("24 219", PATIENCE_S)
    await asyncio.gather(*(shell.close() for shell in working))
    await until_none(docker_client, web)


async def test_a_container_that_is_paused(
    served: Served, docker_client: docker.APIClient, containers: Containers
) -> None:
    """Its shell cannot be ended until it goes on, and is then."""
    web = containers.run("web")
    shell = await opened(served, web)
    docker_client.pause(web.id)
    try:
        await shell.close()
        await asyncio.sleep(2)
        assert await shells_in(docker_client, web) == 1
    finally:
        docker_client.unpause(web.id)
    await until_none(docker_client, web)


async def test_a_container_that_restarts_and_goes(
    served: Served, docker_client: docker.APIClient, containers: Containers
) -> None:
    """Either ends its shell, and the browser shows that; in between there can be another."""
    web = containers.run("web")
    for end in (docker_client.restart, docker_client.remove_container):
        shell = await opened(served, web)
        how = {"timeout": 0} if end == docker_client.restart else {"force": True}
        await on_thread(end, web.id, **how)
        await shell.ended(PATIENCE_S)
        assert "[session closed" in shell.text


async def test_the_agent_stops_on_shells_that_ignore_being_hung_up_on(
    hub: Hub,
    engine_url: str,
    tmp_path: Path,
    docker_client: docker.APIClient,
    containers: Containers,
) -> None:
    """They are killed before it has ended."""
    web = containers.run("web")
    async with serve(hub, engine_url, tmp_path) as served:
        for _ in range(3):
            await opened(served, web, "trap '' HUP\n")
        assert await shells_in(docker_client, web) == 3
    await until_none(docker_client, web)


async def test_the_link_breaks_in_a_flood(
    served: Served, docker_client: docker.APIClient, containers: Containers
) -> None:
    """The shells end though they ignore being hung up on, and the next session can have its own."""
    web = containers.run("web")
    flooding = [await opened(served, web, "trap '' HUP\n") for _ in range(3)]
    await asyncio.gather(*(shell.send("yes\n") for shell in flooding))
    served.hub.faults.cut(served.host)
    await until_none(docker_client, web)
    await served.hub.host_online(PATIENCE_S)
    await opened(served, web)
