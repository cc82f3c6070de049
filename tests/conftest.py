"""Every asynchronous test runs on frozen time, unless it says `real_time`."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Callable, Generator, Mapping

import freezegun
import pytest
from frozen_loop import FrozenLoop

import agent

# Without this, pytest's own --durations reads the frozen clock.
freezegun.configure(extend_ignore_list=["_pytest.timing"])

# A pydantic model defined while time is frozen fails, so all of ours are defined before.
for module in pkgutil.walk_packages(agent.__path__, "agent."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("real_time"):
        return {"real": asyncio.new_event_loop}
    return {"frozen": FrozenLoop}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A report goes from one process to another as UTF-8, in which halves of characters cannot be written."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report
