"""Processes that SIGKILL does not end: what hangs in the kernel cannot be had to order, what a debugger holds can.

A process that somebody else traces is dead after SIGKILL, but its parent is not told until the tracer is.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_SEIZE = 0x4206


@contextmanager
def unburied(pid: int) -> Iterator[None]:
    """Until the end of the block its parent waits in vain for the end of the process, whoever kills it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(_SEIZE, pid, None, None) != 0:
        pytest.skip(f"ptrace: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        os.waitpid(pid, 0)
