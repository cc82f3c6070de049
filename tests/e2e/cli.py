"""The docker command, as a user types it."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

DEADLINE_S = 120.0


class Said(NamedTuple):
    status: int
    text: str
    """Both streams, standard output first, without the white space around them."""


async def docker(*words: str, within_s: float = DEADLINE_S) -> str:
    """Runs `docker WORDS` and returns what it printed.

    Raises:
        AssertionError: It failed; the text has what it said.
    """
    said = await docker_said(*words, within_s=within_s)
    assert said.status == 0, f"docker {' '.join(words)}: {said.text}"
    return said.text


async def docker_said(*words: str, within_s: float = DEADLINE_S) -> Said:
    """The same, whatever its exit status is."""
    process = await asyncio.create_subprocess_exec(
        *("docker", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(within_s):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Said(process.returncode, (output + errors).decode(errors="replace").strip())
