"""A hub for those tests that need nothing special."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.hub.server import Hub


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    """A server that asks nothing by itself."""
    async with Hub(poll_s=None) as hub:
        yield hub
