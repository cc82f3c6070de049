"""A release that lacks something finds out before it is switched to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pydantic_core
import pytest

from agent import __version__

CHECK = "from agent.cli import main; main(['self-check'])"


def checked(script: str = CHECK, *first: Path) -> tuple[int, str]:
    """(exit status, standard output), with `first` before all else in the path."""
    path = f"import sys; sys.path[:0] = {[str(each) for each in first]!r}; "
    ended = subprocess.run(
        (sys.executable, "-c", path + script), capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    return ended.returncode, ended.stdout


def test_a_complete_release() -> None:
    """It says its version."""
    assert checked() == (0, f"dockmon-agent {__version__}\n")


@pytest.mark.parametrize("name", ["httpx", "yaml", "docker", "sqlite3", "agent.features.compose"])
def test_a_missing_module(name: str) -> None:
    """It is named, also where it would be loaded only later."""
    status, said = checked(f"sys.modules[{name!r}] = None; {CHECK}")
    # Loaded by the check itself, its absence is Python's to tell.
    assert status == 1
    assert name in said or name == "sqlite3"


def test_a_missing_native_library(tmp_path: Path) -> None:
    """A package without its compiled part is found out."""
    package = Path(str(pydantic_core.__file__)).parent
    shutil.copytree(package, tmp_path / "pydantic_core", ignore=shutil.ignore_patterns("*.so"))
    status, said = checked(CHECK, tmp_path)
    assert status == 1
    assert "pydantic_core" in said


def test_a_native_library_for_another_machine(tmp_path: Path) -> None:
    """So is one that is there and cannot be loaded."""
    package = Path(str(pydantic_core.__file__)).parent
    shutil.copytree(package, tmp_path / "pydantic_core")
    for library in (tmp_path / "pydantic_core").glob("*.so"):
        library.write_bytes(b"\x7fELF of something else")
    status, said = checked(CHECK, tmp_path)
    assert status == 1
    assert "pydantic_core" in said


def test_a_chart_that_is_damaged(tmp_path: Path) -> None:
    """The charts are read, and a bad one is no release."""
    import statecharts

    source = Path(str(statecharts.__file__)).parent
    shutil.copytree(source, tmp_path / "statecharts")
    (tmp_path / "statecharts" / "lifecycle.toml").write_text("no chart")
    status, said = checked(CHECK, tmp_path)
    assert status == 1
    assert "not complete" in said
