"""What the engine and its host are."""

from __future__ import annotations

import pytest
from fakes.engine import FakeEngine
from features.asking import Asking

from agent.features.system_info import get_system_info
from agent.ports import EngineFacts, EngineTimeout

FACTS = EngineFacts(
    "ENGINE",
    "rack7",
    version="27.3.1",
    operating_system="Debian GNU/Linux 12",
    os_type="linux",
    kernel_version="6.1.0",
    bridge_created_at="2031-05-04T03:02:01.5Z",
    total_memory_bytes=8 << 30,
    num_cpus=4,
)


def world(facts: EngineFacts) -> tuple[FakeEngine, Asking]:
    engine = FakeEngine()
    engine.engine_facts = facts
    return engine, Asking([get_system_info(engine)])


async def test_all_of_it() -> None:
    """By the names that registration has for it, under the key where the server looks."""
    _, asking = world(FACTS)
    assert await asking.ask("get_system_info") == {
        "result": {
            "os_type": "linux",
            "os_version": "Debian GNU/Linux 12",
            "kernel_version": "6.1.0",
            "docker_version": "27.3.1",
            "daemon_started_at": "2031-05-04T03:02:01.5Z",
            "total_memory": 8 << 30,
            "num_cpus": 4,
        }
    }


async def test_what_the_engine_does_not_tell() -> None:
    """It is left out: the server takes neither zeros nor more than it has room for."""
    _, asking = world(EngineFacts("ENGINE", os_type="x" * 60, total_memory_bytes=10**16))
    assert await asking.ask("get_system_info") == {"result": {"os_type": "x" * 50}}


async def test_an_engine_that_does_not_answer() -> None:
    """It is a failure with the reason, while the server still waits for it."""
    engine, asking = world(FACTS)
    engine.delay_s["facts"] = 60.0
    with pytest.raises(EngineTimeout):
        await asking.ask("get_system_info")
