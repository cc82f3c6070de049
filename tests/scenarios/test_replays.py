"""A scenario can be replayed: what happens depends on nothing but what was done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def replayed(hash_seed: str) -> str:
    environ = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent))),
    }
    command = (sys.executable, TESTS / "scenarios" / "replay.py")
    ended = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    return ended.stdout


def test_the_same_timeline_under_different_hash_seeds() -> None:
    """Three processes with three orders of their sets and dictionaries: one story, to the millisecond."""
    first, *others = (replayed(seed) for seed in ("1", "2", "77"))
    assert others == [first, first]
    lifecycle, engine, effects = json.loads(first)
    assert len(lifecycle) > 10
    assert [event for _, event, _ in engine].count("EngineAnswered") == 2
    assert len(effects) > 170
