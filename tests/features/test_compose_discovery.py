"""What the server is told of Compose files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import pytest
from features.asking import Asking
from pydantic import ValidationError

from agent.features.compose_discovery import READ_WAITS_S, SEARCH_WAITS_S, discovery
from agent.ports import (
    CommandFailed,
    ComposeFile,
    ComposeFileRefused,
    ComposeFilesBusy,
    ComposeText,
)


class FakeFiles:
    """Finds and reads what a test says, or raises it; `asked` is how it was asked last."""

    def __init__(self) -> None:
        self.found: list[ComposeFile] = []
        self.text = ComposeText("")
        self.fails: Exception | None = None
        self.asked: tuple[Any, ...] = ()

    async def search(
        self, roots: Sequence[PurePosixPath], *, max_depth: int, budget_s: float
    ) -> list[ComposeFile]:
        self.asked = (roots, max_depth, budget_s)
        if self.fails is not None:
            raise self.fails
        return self.found

    async def read(self, path: str, *, deadline_s: float) -> ComposeText:
        self.asked = (path, deadline_s)
        if self.fails is not None:
            raise self.fails
        return self.text


class World(Asking):
    def __init__(self) -> None:
        self.files = FakeFiles()
        super().__init__(discovery(self.files, home="/root"))


async def test_a_scan() -> None:
    """Each file with what the server shows of it; the instant is in UTC and says so."""
    world = World()
    world.files.found = [ComposeFile("/opt/a/compose.yml", "a", ("web", "db"), 40, 1e9 + 0.5)]
    assert await world.ask("scan_compose_dirs", paths=None) == {
        "success": True,
        "compose_files": [
            {
                "path": "/opt/a/compose.yml",
                "project_name": "a",
                "services": ["web", "db"],
                "size": 40,
                "modified": "2001-09-09T01:46:40Z",
            }
        ],
    }


async def test_nothing_found() -> None:
    """An empty list."""
    assert await World().ask("scan_compose_dirs") == {"success": True, "compose_files": []}


@pytest.mark.parametrize("unix_s", [1e300, -1e300, float("nan"), -6.3e10])
async def test_an_instant_that_is_none(unix_s: float) -> None:
    """A file system may say anything; the server gets what it can read."""
    world = World()
    world.files.found = [ComposeFile("/opt/a/compose.yml", "a", ("web",), 40, unix_s)]
    (file,) = (await world.ask("scan_compose_dirs"))["compose_files"]
    assert file["modified"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("payload", "depth"),
    [
        ({}, 5),
        ({"recursive": True, "max_depth": 3}, 3),
        ({"recursive": False, "max_depth": 3}, 0),
        ({"recursive": None, "max_depth": None}, 5),
        ({"max_depth": 0}, 5),
        ({"max_depth": -1}, 5),
        ({"max_depth": 10_000}, 20),
    ],
)
async def test_how_deep(payload: dict[str, Any], depth: int) -> None:
    """Five directories unless the server says otherwise."""
    world = World()
    await world.ask("scan_compose_dirs", **payload)
    assert world.files.asked[1] == depth


async def test_where() -> None:
    """What the server names, and the usual places."""
    world = World()
    await world.ask("scan_compose_dirs", paths=["/home/me"])
    roots = world.files.asked[0]
    assert roots[0] == PurePosixPath("/home/me")
    assert {PurePosixPath("/opt"), PurePosixPath("/root")} <= set(roots)


async def test_the_server_waits_longer_than_we_do() -> None:
    """What is found in time gets there in time."""
    world = World()
    await world.ask("scan_compose_dirs")
    assert world.files.asked[2] <= SEARCH_WAITS_S - 10
    await world.ask("read_compose_file", path="/opt/a/compose.yml")
    assert world.files.asked[1] <= READ_WAITS_S - 5


async def test_a_file() -> None:
    """Its text, its env files, and `.env` once more for servers that know only this one."""
    world = World()
    world.files.text = ComposeText("text", {".env": "A=1", "b.env": ""}, ["../c.env"])
    assert await world.ask("read_compose_file", path="/opt/a/compose.yml") == {
        "success": True,
        "path": "/opt/a/compose.yml",
        "content": "text",
        "env_content": "A=1",
        "env_files": {".env": "A=1", "b.env": ""},
        "skipped_env_files": ["../c.env"],
    }


async def test_a_file_without_env() -> None:
    """None is none, and not an empty one."""
    reply = await World().ask("read_compose_file", path="/opt/a/compose.yml")
    assert "env_content" not in reply
    assert reply["env_files"] == {}


async def test_a_file_that_is_refused() -> None:
    """The server reads `success` and `error` in the payload: nothing failed, the answer is no."""
    world = World()
    world.files.fails = ComposeFileRefused("Path not allowed")
    assert await world.ask("read_compose_file", path="/etc/compose.yml") == {
        "success": False,
        "path": "/etc/compose.yml",
        "error": "Path not allowed",
    }


@pytest.mark.parametrize("command", ["scan_compose_dirs", "read_compose_file"])
async def test_a_file_system_that_does_not_answer(command: str) -> None:
    """The command has failed: an empty list would say that there is nothing."""
    world = World()
    world.files.fails = ComposeFilesBusy("no answer")
    with pytest.raises(CommandFailed, match=r"^no answer$"):
        await world.ask(command, path="/opt/compose.yml")


@pytest.mark.parametrize("payload", [{"paths": "/opt"}, {"max_depth": "deep"}, {"recursive": []}])
async def test_a_malformed_scan(payload: dict[str, Any]) -> None:
    """It is refused before anything is searched."""
    with pytest.raises(ValidationError):
        await World().ask("scan_compose_dirs", **payload)
