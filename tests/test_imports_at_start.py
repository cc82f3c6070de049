"""What the daemon loads before it has done anything: each megabyte of it is held for as long as the agent runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

NOT_AT_START = [
    *("rich", "pygments"),  # the demo draws
    *(
        "agent.adapters.httpx_probe",
        "httpx",
        "httpcore",
        "h11",
        "anyio",
    ),  # the first HTTP check brings them
    "charset_normalizer",  # guesses encodings, and the engine speaks UTF-8
    "yaml",  # the first compose file that is read
    *("agent.console", "agent.hub", "agent.core.pictures"),
    *(
        "transitions.extensions",
        "multiprocessing",
        "xml",
        "unittest",
        "pdb",
        "ctypes",
        "cryptography",
    ),
]


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules of a process that has imported the daemon and nothing else."""
    script = "import agent.daemon, sys; print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", script]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


@pytest.mark.parametrize("module", NOT_AT_START)
def test_what_is_not_always_used_is_not_loaded(loaded: set[str], module: str) -> None:
    """Libraries and folders of ours that serve one capability wait for its first use."""
    assert module not in loaded


def test_the_daemon_is_what_was_loaded(loaded: set[str]) -> None:
    """The list above is about the real thing."""
    assert {"agent.daemon", "agent.assembly", "websockets", "docker", "pydantic"} <= loaded
