"""What terminals of every engine behind the port do, be it in memory or a real one."""

from __future__ import annotations

import pytest
from engine_contract import DEADLINE_S, NOBODY, Subject
from fakes.terminal import HUNG_UP

from agent.ports import Conflict, EngineUnreachable, NotFound, Terminal


class Screen:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def data(self, data: bytes) -> None:
        """What a shell says of itself differs."""

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)


async def opened(subject: Subject, container: str, screen: Screen) -> Terminal:
    return await subject.engine.open_terminal(container, ["sh"], {}, screen, deadline_s=DEADLINE_S)


class TerminalsContract:
    """Subclasses provide the fixture `subject`."""

    async def test_no_terminal(self, subject: Subject) -> None:
        """It takes a container, and one that runs."""
        with pytest.raises(NotFound):
            await opened(subject, NOBODY, Screen())
        with pytest.raises(Conflict):
            await opened(subject, subject.add("web"), Screen())

    async def test_a_terminal_that_is_hung_up(self, subject: Subject) -> None:
        """Its process ends by the signal; done twice it is as good, and the sink hears nothing of it."""
        screen = Screen()
        terminal = await opened(subject, subject.add("web", running=True)[:12], screen)
        await terminal.write(b"\n", deadline_s=DEADLINE_S)
        await terminal.resize(132, 50, deadline_s=DEADLINE_S)
        assert await terminal.hang_up(deadline_s=DEADLINE_S) == HUNG_UP
        assert await terminal.hang_up(deadline_s=DEADLINE_S) == HUNG_UP
        with pytest.raises(EngineUnreachable):
            await terminal.write(b"\n", deadline_s=DEADLINE_S)
        terminal.close()
        terminal.close()
        assert screen.reasons == []
