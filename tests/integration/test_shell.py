"""Shells in real containers: what is typed, what is seen, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import docker
import pytest
from engine import Container, Containers
from fakes.channel import FakeChannel
from fakes.scope import FakeScope

from agent.adapters.engine import DockerEngine, Endpoint
from agent.clock import utcnow
from agent.core.shell_buffers import FRAME_BYTES
from agent.features.shell import Shells
from agent.ports import Priority

DEADLINE_S = 30.0
SESSION = "5f0c6a2e-9d1b-4a7e-8b34-0c4f1d2e3a5b"
ANSWER = "echo $((6*7))x\n"
"""Typed, it is echoed as it stands; `42x` is the answer of a shell."""


class Link(FakeChannel):
    """Tells when something was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()

    def put(self, message: bytes, priority: Priority) -> asyncio.Future[int]:
        self.arrived.set()
        return super().put(message, priority)


class Browser:
    """A terminal in a browser, with the agent's shells at the other end."""

    def __init__(self, engine: DockerEngine, jobs: FakeScope) -> None:
        self.link = Link()
        self.shells = Shells(engine, self.link, clock=utcnow, detach=jobs.detach)
        self.shells.acquire(jobs)

    def say(self, action: str, **more: Any) -> None:
        self.shells.listener({"action": action, "session_id": SESSION, **more})

    def type(self, text: str) -> None:
        self.say("data", data=base64.b64encode(text.encode()).decode())

    async def sees(self, text: str) -> None:
        """Returns when `text` is on the screen."""
        await self._until(lambda: text in self.screen())

    async def opens(self, box: Container) -> None:
        self.say("start", container_id=box.id[:12])
        await self.is_told("started")

    async def is_told(self, action: str) -> dict[str, Any]:
        await self._until(lambda: self._told(action) != [])
        return self._told(action)[-1]

    def frames(self) -> list[bytes]:
        return [base64.b64decode(payload["data"]) for payload in self._told("data")]

    async def _until(self, condition: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():
                    self.link.arrived.clear()
                    await self.link.arrived.wait()
        except TimeoutError:
            pytest.fail(f"it has not come; the screen is {self.screen()!r}")

    def screen(self) -> str:
        return b"".join(self.frames()).decode(errors="replace")

    def _told(self, action: str) -> list[dict[str, Any]]:
        payloads = self.link.payloads("shell_data")
        return [payload for payload in payloads if payload["action"] == action]


@pytest.fixture
async def browser(engine_url: str) -> AsyncIterator[Browser]:
    engine = DockerEngine(Endpoint.parse(engine_url))
    async with FakeScope() as jobs:
        browser = Browser(engine, jobs)
        yield browser
        await browser.shells.release()
    await engine.close()


@pytest.fixture
def box(containers: Containers) -> Container:
    return containers.run("shell")


class Top:
    """What runs in the container besides its own two processes, as its engine tells."""

    def __init__(self, client: docker.APIClient, box: Container) -> None:
        self._client, self._box = client, box

    async def commands(self) -> list[str]:
        loop = asyncio.get_running_loop()
        told = await loop.run_in_executor(None, self._client.top, self._box.id)
        return sorted(process[-1] for process in told["Processes"][2:])

    async def until(self, *commands: str) -> None:
        """Returns when exactly these run."""
        found: list[str] = []
        try:
            async with asyncio.timeout(DEADLINE_S):
                while (found := await self.commands()) != sorted(commands):
                    pass
        except TimeoutError:
            pytest.fail(f"what runs in the container is {found}")


@pytest.fixture
def top(docker_client: docker.APIClient, box: Container) -> Top:
    return Top(docker_client, box)


async def test_a_dialogue(browser: Browser, box: Container, top: Top) -> None:
    """A command, its answer, an interrupt, and the exit code."""
    await browser.opens(box)
    browser.type("echo $((6*7))-$TERM\n")
    await browser.sees("42-xterm-256color")
    browser.type("sleep 1000\n")
    await top.until("sh", "sleep 1000")
    browser.type("\x03")
    await top.until("sh")
    browser.type("exit 3\n")
    await browser.is_told("closed")
    assert browser.screen().endswith("\r\n[session closed: exit code 3]\r\n")
    await top.until()
    # The line by which the agent learns what to end is not for the user.
    assert not browser.screen()[0].isdigit()


async def test_the_size(browser: Browser, box: Container) -> None:
    """The one the browser tells before there is a process, and the one it tells later."""
    browser.say("start", container_id=box.id[:12])
    browser.say("resize", cols=132, rows=50)
    browser.type("stty size\n")
    await browser.sees("50 132")
    browser.say("resize", cols=101, rows=41)
    browser.type("stty size\n")
    await browser.sees("41 101")


async def test_a_flood(browser: Browser, box: Container, top: Top) -> None:
    """It can be interrupted while the link takes nothing; then comes what the engine still had of it."""
    await browser.opens(box)
    browser.type(ANSWER)
    await browser.sees("42x")  # what is typed before the first prompt is echoed twice
    browser.link.takes = False
    browser.type("yes flood\n")
    await top.until("sh", "sh")  # busybox forks for it, and runs no other program
    browser.type("\x03")
    await top.until("sh")
    browser.type("echo $((6*7))y\n")
    browser.link.takes = True
    browser.link.take_all()
    await browser.sees("42y")
    assert max(map(len, browser.frames())) <= FRAME_BYTES
    lines = browser.screen().partition("yes flood\r\n")[2].partition("^C")[0].split("\r\n")
    assert set(lines[:-1]) == {"flood"}


async def test_the_browser_closes_on_a_flood(
    browser: Browser,
    box: Container,
    top: Top,
    docker_client: docker.APIClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The engine, which holds some of it, has to get rid of that before it sees that the process has ended."""
    await browser.opens(box)
    browser.link.takes = False
    browser.type("line=$(seq 200); while n=$((n+1)); do echo $n >/written; echo $line; done\n")
    before, now = b"", await _read(docker_client, box, "/written")
    async with asyncio.timeout(DEADLINE_S):
        while before != now or not now:
            before, now = now, await _read(docker_client, box, "/written")
    browser.say("close")
    await top.until()
    await browser.shells.release()
    assert caplog.text == ""


async def _read(client: docker.APIClient, box: Container, path: str) -> bytes:
    def read() -> bytes:
        reader = client.exec_create(box.id, ["cat", path])
        content: bytes = client.exec_start(reader["Id"])
        return content

    return await asyncio.get_running_loop().run_in_executor(None, read)


async def test_every_byte_arrives(browser: Browser, box: Container) -> None:
    """In order, however much there is."""
    await browser.opens(box)
    browser.type("seq 100000; echo $((6*7))x\n")
    await browser.sees("42x")
    lines = browser.screen().split("\r\n")
    first = lines.index("1")
    assert lines[first : first + 100000] == [str(number) for number in range(1, 100001)]


async def test_the_browser_closes(
    browser: Browser, box: Container, top: Top, caplog: pytest.LogCaptureFixture
) -> None:
    """The shell ends, and with it what ran in front."""
    await browser.opens(box)
    browser.type("sleep 1000\n")
    await top.until("sh", "sleep 1000")
    browser.say("close")
    await top.until()
    await browser.shells.release()
    assert caplog.text == ""


async def test_the_session_with_the_server_ends(browser: Browser, box: Container, top: Top) -> None:
    """When it is let go of, the processes are gone."""
    await browser.opens(box)
    browser.type("sleep 1000\n")
    await top.until("sh", "sleep 1000")
    browser.link.cut()
    await browser.shells.release()
    await top.until()


async def test_a_shell_that_ignores_being_hung_up_on(
    browser: Browser, box: Container, top: Top
) -> None:
    """It is killed."""
    await browser.opens(box)
    browser.type("trap '' HUP; " + ANSWER)
    await browser.sees("42x")
    browser.say("close")
    await top.until()


async def test_the_container_stops(
    browser: Browser, box: Container, docker_client: docker.APIClient
) -> None:
    """The browser sees that it is over."""
    await browser.opens(box)
    browser.type(ANSWER)
    await browser.sees("42x")
    await asyncio.get_running_loop().run_in_executor(None, docker_client.kill, box.id)
    await browser.is_told("closed")
    assert "[session closed" in browser.screen()


async def test_what_cannot_be_opened(
    browser: Browser, containers: Containers, docker_client: docker.APIClient
) -> None:
    """No container, one that does not run, one that is paused, one without a shell."""
    stopped, paused, bare = containers.create(), containers.run(), containers.run()
    docker_client.pause(paused.id)
    remove = docker_client.exec_create(bare.id, ["/bin/busybox", "rm", "/bin/sh"])
    docker_client.exec_start(remove["Id"])
    try:
        errors = []
        for box in ("ffffffffffff", stopped.id, paused.id, bare.id):
            browser.link.sent.clear()
            browser.say("start", container_id=box[:12])
            errors.append((await browser.is_told("error"))["error"])
            await browser.shells.release()
            browser.shells.acquire(FakeScope())
    finally:
        docker_client.unpause(paused.id)
    assert errors == [
        "No such container: ffffffffffff",
        f"Container {stopped.id} is not running",
        f"Container {paused.id[:12]} is paused, unpause the container before exec",
        "The container has no /bin/sh: there is no shell to open",
    ]
