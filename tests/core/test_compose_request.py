"""What a deployment may look like before anything of it is used."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from agent.core.compose.request import DeployRequest

PLAIN = {
    "deployment_id": "h:paper:01234567",
    "project_name": "paper",
    "compose_content": "services: {}",
}


def read(**more: Any) -> DeployRequest:
    return DeployRequest.model_validate({**PLAIN, **more})


def test_what_may_be_left_out() -> None:
    """Null is as good as absent, whatever the server's habits are; keys of a newer one are ignored."""
    names = set(DeployRequest.model_fields) - set(PLAIN)
    assert read(**dict.fromkeys(names), newer=1) == read()
    assert read().action == "up"


@pytest.mark.parametrize("name", ["paper", "0", "a-b_c", "a" * 200])
def test_names_of_projects(name: str) -> None:
    """As Compose has them."""
    assert read(project_name=name).project_name == name


@pytest.mark.parametrize(
    "name", ["", "Paper", ".paper", "-p", "_p", "a/b", "..", "a.b", "a\0", "a b", "p\n", "a" * 201]
)
def test_names_that_are_none(name: str) -> None:
    """They become a directory's name: nothing that leads anywhere else."""
    with pytest.raises(ValidationError, match="project_name"):
        read(project_name=name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b", "a\nb", "docker-compose.yml", "a" * 201]
)
def test_env_files_that_are_none(name: str) -> None:
    """A plain name in the stack's own directory, and not the compose file's."""
    with pytest.raises(ValidationError):
        read(env_files={name: ""})


def test_a_refusal_quotes_nothing() -> None:
    """What was refused may be a secret."""
    with pytest.raises(ValidationError) as refused:
        read(env_files={"a": "hush\0"}, registry_credentials=[{"password": 4711}])
    assert "hush" not in str(refused.value)
    assert "4711" not in str(refused.value)


def test_a_request_tells_no_secrets() -> None:
    """Nor does its text form, wherever it may end up."""
    credentials = [{"registry_url": "", "username": "me", "password": "hush"}]
    told = repr(read(env_file_content="A=hush", registry_credentials=credentials))
    assert "hush" not in told


@pytest.mark.parametrize(
    ("more", "files"),
    [
        ({}, {".env": None}),
        ({"env_file_content": "A=1"}, {".env": "A=1"}),
        ({"env_file_content": "A=1", "env_files": {"web.env": "B=2"}}, {"web.env": "B=2"}),
        ({"env_files": {".env": "A=1", "b": ""}}, {".env": "A=1", "b": ""}),
    ],
)
def test_the_files_of_a_stack(more: dict[str, Any], files: dict[str, str | None]) -> None:
    """Several env files win over the one; without any, an `.env` of before has to go."""
    assert read(**more).files == {"docker-compose.yml": "services: {}", **files}


@pytest.mark.parametrize(("told", "waits_s"), [(120, 120), (0, 60), (-1, 60), (10**9, 1200)])
def test_how_long_to_wait_for_health(told: int, waits_s: float) -> None:
    """Not told means a minute; nobody waits longer than a deployment may take."""
    assert read(health_timeout=told).health_timeout_s == waits_s


@pytest.mark.parametrize(
    "more",
    [
        {"action": "destroy"},
        {"compose_content": ""},
        {"compose_content": "x" * (1024 * 1024 + 1)},
        {"env_file_content": "ü" * (512 * 1024 + 1)},
        {"env_files": {f"{n}.env": "" for n in range(101)}},
        {"profiles": ["--file=/etc/passwd"]},
        {"deployment_id": ""},
    ],
)
def test_what_is_too_much_or_odd(more: dict[str, Any]) -> None:
    """A mebibyte a file is the server's own limit, and nothing becomes an option of Compose."""
    with pytest.raises(ValidationError):
        read(**more)
