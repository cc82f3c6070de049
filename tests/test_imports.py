"""Imports point one way, and the core touches nothing: the rules of docs/architecture.md, kept."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

IMPURE = {
    *("asyncio", "concurrent", "docker", "logging", "os", "socket", "sqlite3", "ssl"),
    *("subprocess", "threading", "time", "websockets"),
}
"""What the core must not import. Ruff says why; agent/core/ruff.toml has the same list."""

EVERYWHERE = {"clock", "logs", "settings"}
"""Small modules that know nothing of the rest, for whoever is not pure."""

EVERYTHING = {
    path.stem
    for path in (ROOT / "agent").iterdir()
    if path.suffix == ".py" or (path / "__init__.py").is_file()
}

MAY_IMPORT: Mapping[str, Collection[str]] = {
    "__init__": (),
    "clock": (),
    "exit_codes": (),
    "faults": (),
    "launcher": {"launcher", "faults"},
    "logs": (),
    "settings": {"core"},
    "core": {"core"},
    "ports": {"ports", "core"},
    "runtime": {"runtime", "ports", "core", *EVERYWHERE},
    "features": {"features", "ports", "core", *EVERYWHERE},
    "adapters": {"adapters", "ports", "core", "launcher", "faults", "release_archive", *EVERYWHERE},
    "hub": {"hub", "ports", "core", "clock"},
    "release_archive": (),
    "release_layout": {"release_archive"},
    "installer": {"installer", "launcher", "faults", "release_archive", "release_layout"},
    "release": {
        "release",
        "core",
        "launcher",
        "release_archive",
        "release_layout",
        "release_start",
    },
    "self_check": {"core"},
    "console": EVERYTHING - {"cli", "daemon"},
    "equipment": EVERYTHING - {"assembly", "cli", "console", "daemon", "hub"},
    "assembly": EVERYTHING - {"adapters", "cli", "console", "daemon", "hub"},
    "daemon": EVERYTHING - {"cli", "console", "hub"},
    "cli": EVERYTHING,
    "__main__": {"cli"},
    "release_start": {"cli"},
}
"""For each folder or module of `agent`, those it may import from. The package itself, for its version, is free."""


@dataclass(frozen=True, slots=True)
class Import:
    """`module` as it stands in `file` (relative to the root) at `line`: in full, whichever way it was written."""

    file: Path
    line: int
    module: str

    @property
    def importer(self) -> str:
        """The folder or module of `agent` that the file belongs to."""
        return self.file.parts[1].removesuffix(".py")

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.importer} may not import {self.module}"


def imports(source: str, file: Path) -> Iterator[Import]:
    """Every import in `source`, those inside functions and for type checking included."""
    for node in ast.walk(ast.parse(source, str(file))):
        match node:
            case ast.Import(names=names):
                for name in names:
                    yield Import(file, node.lineno, name.name)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for name in names:
                    within = f"{module}.{name.name}"
                    yield Import(file, node.lineno, within if _is_ours(within) else module)
            case ast.ImportFrom():
                raise AssertionError(f"{file}:{node.lineno}: a relative import, which ruff forbids")


def _is_ours(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def all_imports() -> Iterator[Import]:
    for path in sorted((ROOT / "agent").rglob("*.py")):
        yield from imports(path.read_text("utf-8"), path.relative_to(ROOT))


def astray(found: Iterator[Import]) -> list[str]:
    """Those that point the wrong way, as file:line and what is wrong."""
    return [str(item) for item in found if _is_astray(item)]


def _is_astray(item: Import) -> bool:
    match item.module.split("."):
        case ["agent"]:
            return False
        case ["agent", part, *_]:
            return part not in MAY_IMPORT.get(item.importer, ())
        case ["statecharts", *_]:
            return item.importer != "core"
        case [package, *_]:
            return item.importer == "core" and package in IMPURE
    raise AssertionError("split() always returns something")


def test_imports_point_one_way() -> None:
    """statecharts ← core ← ports ← runtime, features, adapters, hub ← those that put them together."""
    assert astray(all_imports()) == []


def test_every_part_has_its_rule() -> None:
    """A new folder or module of `agent` says what it may import, here and in docs/architecture.md."""
    assert MAY_IMPORT.keys() == EVERYTHING


def test_nobody_reaches_into_an_adapter() -> None:
    """What is under a folder of `agent/adapters/` is its own affair; only the daemon wires it."""
    assert [
        str(item)
        for item in all_imports()
        if item.importer not in ("adapters", "daemon")
        and item.module.startswith("agent.adapters.")
        and item.module.count(".") > 2
    ] == []


@pytest.mark.parametrize(
    ("file", "source", "wrong"),
    [
        ("core/x.py", "import asyncio", "core may not import asyncio"),
        ("core/x.py", "def f():\n    import os.path", "core may not import os.path"),
        ("core/x.py", "from time import monotonic", "core may not import time"),
        ("core/x.py", "from agent import clock", "core may not import agent.clock"),
        ("core/y/x.py", "from agent.ports import Store", "core may not import agent.ports"),
        ("ports.py", "import agent.settings", "ports may not import agent.settings"),
        (
            "runtime/x.py",
            "if TYPE_CHECKING:\n    from agent.adapters import store",
            "runtime may not import agent.adapters.store",
        ),
        (
            "adapters/x.py",
            "from agent.runtime.session import Session",
            "adapters may not import agent.runtime.session",
        ),
        ("features/x.py", "from agent.hub.link import Link", "features may not import agent.hub"),
        ("hub/x.py", "import statecharts", "hub may not import statecharts"),
        ("launcher/x.py", "from agent import clock", "launcher may not import agent.clock"),
        (
            "features/x.py",
            "import agent.launcher.main",
            "features may not import agent.launcher.main",
        ),
    ],
)
def test_a_wrong_import_is_found(file: str, source: str, wrong: str) -> None:
    """Whichever way it is written, and wherever it stands; the text leads there."""
    (found,) = astray(imports(source, Path("agent", file)))
    line = source.count("\n") + 1
    assert found.startswith(f"agent/{file}:{line}: {wrong}")


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("core/x.py", "import random\nfrom agent.core.chart import Chart\nimport statecharts"),
        ("ports.py", "from agent.core import journal"),
        ("runtime/x.py", "import asyncio\nfrom agent import ports"),
        ("cli.py", "from agent import __version__, daemon"),
    ],
)
def test_a_right_import_is_not(file: str, source: str) -> None:
    """What the rules allow passes."""
    assert astray(imports(source, Path("agent", file))) == []


# Ruff, which tells it while one types


def banned(config: Path, *path: str) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(config.read_text("utf-8"))
    for key in (*path, "lint", "flake8-tidy-imports", "banned-api"):
        table = table[key]
    return table


def test_ruff_knows_the_rules_of_the_core() -> None:
    """Its list is ours, and no ban of the rest of the project is lost in it: ruff replaces such tables."""
    in_core = banned(ROOT / "agent" / "core" / "ruff.toml")
    everywhere = banned(ROOT / "pyproject.toml", "tool", "ruff")
    assert {name for name in in_core if name not in everywhere} == IMPURE
    for name, reason in everywhere.items():
        assert name.partition(".")[0] in IMPURE or in_core[name] == reason


@pytest.mark.parametrize(
    ("file", "fires"),
    [("agent/core/machine.py", True), ("agent/runtime/runtime.py", False)],
)
def test_ruff_finds_the_rules_of_the_core(file: str, fires: bool) -> None:
    """A configuration that is not read forbids nothing: the core's holds there and nowhere else."""
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check"),
            *("--no-cache", "--select", "TID251", "--output-format", "json"),
            *("--stdin-filename", file, "-"),
        ],
        input="import asyncio\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert [found["code"] for found in json.loads(checked.stdout)] == ["TID251"] * fires
