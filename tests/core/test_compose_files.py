"""What counts as a Compose file, where it may lie, and what is read in it."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.compose_files import (
    NotCompose,
    Project,
    beside,
    env_references,
    is_allowed,
    is_compose_name,
    is_worth_a_look,
    project,
    search_roots,
)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("docker-compose.yml", True),
        ("docker-compose.yaml", True),
        ("compose.yml", True),
        ("Compose.YAML", True),
        ("docker-compose.override.yml", False),
        ("compose.json", False),
        ("compose.yml.bak", False),
        ("", False),
    ],
)
def test_names(name: str, is_one: bool) -> None:
    """Four of them, in any case."""
    assert is_compose_name(name) is is_one


@pytest.mark.parametrize(
    ("name", "is_worth"),
    [("web", True), ("Build", True), (".git", False), ("node_modules", False), ("venv", False)],
)
def test_directories_that_are_skipped(name: str, is_worth: bool) -> None:
    """What is hidden, and what tools put there."""
    assert is_worth_a_look(name) is is_worth


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/opt/web", True),
        ("/", True),
        ("/etcetera", True),
        ("/usr/local/lib", True),
        ("/var/lib/docker/volumes", True),
        ("/etc", False),
        ("/etc/web/deep", False),
        ("/proc/1/root/opt", False),
        ("/usr/lib/web", False),
        ("/run/user/1000", False),
        ("opt/web", False),
    ],
)
def test_what_belongs_to_the_system(path: str, allowed: bool) -> None:
    """Nothing is looked for there, nor anywhere below."""
    assert is_allowed(PurePosixPath(path)) is allowed


def test_roots() -> None:
    """What was asked for comes first, inner directories before outer ones, nothing twice, nothing relative."""
    roots = search_roots(["/home", "/home/me/stacks/", "stacks", "", "~", "/opt"], "/root")
    assert [str(root) for root in roots[:3]] == ["/home/me/stacks", "/home", "/opt"]
    assert [str(root) for root in roots].count("/opt") == 1
    assert PurePosixPath("/root") in roots
    assert all(root.is_absolute() for root in roots)


def test_a_home_that_is_everything() -> None:
    """A user without a home has none that could be searched; whoever wants everything searched may say so."""
    assert PurePosixPath("/") not in search_roots([], "/")
    assert PurePosixPath("/") in search_roots(["/"], "/")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("services: {web: {image: a}, db: }", Project(None, ("web", "db"))),
        ("name: shop\nservices: {web: {}}", Project("shop", ("web",))),
        ("name: ${NAME}\nservices: {web: {}}", Project(None, ("web",))),
        ("name: [a]\nservices: {web: {}}", Project(None, ("web",))),
        ("name:\nservices: {web: {}}", Project(None, ("web",))),
        ("x-all: &all {name: shop}\n<<: *all\nservices: {1: {}}", Project("shop", ("1",))),
        ("services: {web: {ports: !reset []}, <<: {db: {}}}", Project(None, ("web",))),
    ],
)
def test_a_project(text: str, read: Project) -> None:
    """Its name, unless only Compose can tell it, and its services in order."""
    assert project(text) == read


@pytest.mark.parametrize(
    "text", ["", "services:", "services: {}", "services: [web]", "web: {}", "- a", "a: [", "text"]
)
def test_what_is_none(text: str) -> None:
    """Without a service, whatever the name of the file."""
    with pytest.raises(NotCompose):
        project(text)
    assert env_references(text) == []


@pytest.mark.parametrize(
    ("env_file", "references"),
    [
        ("web.env", ["web.env"]),
        ("[a.env, ./b.env, a.env]", ["a.env", "./b.env"]),
        ("[{path: a.env, required: false}, b.env, {}, [c]]", ["a.env", "b.env"]),
        ("", []),
        ("{path: a.env}", ["a.env"]),
    ],
)
def test_env_references(env_file: str, references: list[str]) -> None:
    """A text, a list of texts, or mappings with a path."""
    assert env_references(f"services:\n  web:\n    env_file: {env_file}") == references


def test_env_references_of_several_services() -> None:
    """Each once, in order; those that are merged in belong to the service too."""
    text = """
x-base: &base {env_file: base.env}
x-more: &more {<<: *base}
services:
  web: {<<: [{image: a}, *more]}
  db: {env_file: db.env, <<: *base}
  odd: text
"""
    assert env_references(text) == ["base.env", "db.env"]


def test_merges_of_merges() -> None:
    """However often a file merges, reading it takes no time."""
    lines = ["x0: &x0 {a: 1}"]
    lines += [f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 9)}]}}" for n in range(1, 60)]
    lines += ["services:", *(f"  s{n}: {{<<: *x59}}" for n in range(100))]
    assert env_references("\n".join(lines)) == []


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("web.env", "web.env"),
        ("./web.env", "web.env"),
        (".//./web.env", "web.env"),
        (".env", ".env"),
        ("..env", "..env"),
        ("../web.env", None),
        ("config/web.env", None),
        ("/etc/passwd", None),
        (".//etc/passwd", None),
        ("${STAGE}.env", None),
        ("a\0b", None),
        (".", None),
        ("./", None),
        ("..", None),
        ("./..", None),
    ],
)
def test_what_lies_beside_a_compose_file(reference: str, name: str | None) -> None:
    """In the same directory, and not below it."""
    assert beside(reference) == name


@given(st.text())
def test_whatever_lies_beside_has_a_plain_name(reference: str) -> None:
    """It cannot lead anywhere else."""
    name = beside(reference)
    assert name is None or ("/" not in name and name not in ("", ".", ".."))
