"""The operator's file with credentials, read anew for each update."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from agent.adapters.registry_logins import login_from
from agent.ports import RegistryAuth


def write(path: Path, registry: str, password: str) -> None:
    auths = {registry: {"username": "ci", "password": password}}
    path.write_text(json.dumps({"auths": auths}))


def test_a_file_that_is_replaced(tmp_path: Path) -> None:
    """The next question is asked with what stands there then; each password is learnt before it is used."""
    learnt: list[str] = []
    file = tmp_path / "config.json"
    login = login_from(file, learnt.append)
    write(file, "registry.test", "one")
    assert login("registry.test") == RegistryAuth("ci", "one", "registry.test")
    write(file, "registry.test", "two")
    assert login("registry.test") == RegistryAuth("ci", "two", "registry.test")
    assert login("") is None
    assert learnt == ["one", "two"]


@pytest.mark.parametrize("content", [None, "no JSON", "x" * 300_000])
def test_a_file_that_is_no_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    """A warning, and the registry is asked without: it may be open."""
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with caplog.at_level(logging.WARNING):
        assert login_from(tmp_path / "config.json", lambda _: None)("") is None
    assert "UPDATE_REGISTRY_AUTH_FILE" in caplog.text


def test_none_given() -> None:
    """Most registries of an agent's image are open."""
    assert login_from(None, lambda _: None)("registry.test") is None
