"""A terminal in a container, from the browser's keys to the process and back."""

from __future__ import annotations

import asyncio

import docker
import pytest
from engine import Containers
from integration.served import Served

PATIENCE_S = 30.0


def programs(client: docker.APIClient, container_id: str) -> list[str]:
    """The commands that run in the container."""
    table = client.top(container_id)
    column = table["Titles"].index("CMD")
    return [process[column] for process in table["Processes"]]


@pytest.mark.protocol("shell start", "shell data", "shell resize")
async def test_what_is_typed_is_done(served: Served, containers: Containers) -> None:
    """Keys arrive in order, be they typed before there is a terminal; so does its size."""
    web = containers.run("web")
    shell = await served.hub.open_shell(served.host.id, web.id, size=(117, 33))
    await shell.send("stty size; ")
    await shell.send("echo early-$((40+2))\n")
    text = await shell.shows("early-42", PATIENCE_S)
    assert "33 117" in text
    await shell.resize(99, 22)
    await shell.send("stty size\n")
    await shell.shows("22 99", PATIENCE_S)
    await shell.close()


@pytest.mark.protocol("shell closed")
async def test_a_shell_that_is_left(served: Served, containers: Containers) -> None:
    """The user is told before the session is over, for the browser stays open."""
    web = containers.run("web")
    shell = await served.hub.open_shell(served.host.id, web.id)
    await shell.send("exit 3\n")
    await shell.ended(PATIENCE_S)
    assert shell.error is None
    assert shell.browser_closed is None
    assert shell.text.rstrip().splitlines()[-1].strip()  # a notice, whatever it says


@pytest.mark.protocol("shell close")
async def test_a_window_that_is_closed(
    served: Served, docker_client: docker.APIClient, containers: Containers
) -> None:
    """What ran in it is gone as well: the engine alone would leave it running."""
    web = containers.run("web")
    shell = await served.hub.open_shell(served.host.id, web.id)
    await shell.send("echo ready-$((40+2)); sleep 987\n")
    await shell.shows("ready-42", PATIENCE_S)
    await shell.close()
    async with asyncio.timeout(PATIENCE_S):
        while any("sleep 987" in program for program in programs(docker_client, web.id)):
            await asyncio.sleep(0.1)


@pytest.mark.protocol("shell error")
@pytest.mark.parametrize("is_there", [True, False])
async def test_where_there_is_no_shell(
    served: Served, containers: Containers, is_there: bool
) -> None:
    """A container that has stopped, or is not there, is an error that the browser can show."""
    container_id = containers.create("job").id if is_there else "0" * 12
    shell = await served.hub.open_shell(served.host.id, container_id)
    await shell.ended(PATIENCE_S)
    assert shell.error
    assert len(shell.error.encode()) <= 123
    assert shell.browser_closed == (1011, shell.error)
