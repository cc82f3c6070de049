"""What waits on either side of a terminal: in order, joined, and bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.shell_buffers import (
    FRAME_BYTES,
    OUTPUT_HIGH_BYTES,
    OUTPUT_LOW_BYTES,
    PIECE_BYTES,
    InputFull,
    InputQueue,
    OutputBuffer,
    Size,
)


def everything(queue: InputQueue) -> list[bytes | Size]:
    taken = []
    while (item := queue.take()) is not None:
        taken.append(item)
    return taken


def test_input_keeps_its_order() -> None:
    """What was typed before a resize reaches the process before it; neighbours are joined."""
    queue = InputQueue()
    queue.resize(Size(80, 24))
    queue.resize(Size(132, 50))
    queue.type(b"l")
    queue.type(b"s\n")
    queue.resize(Size(100, 30))
    queue.type(b"")
    queue.type(b"q")
    assert everything(queue) == [Size(132, 50), b"ls\n", Size(100, 30), b"q"]


def test_too_much_input() -> None:
    """It is refused as a whole, and there is room again when some was taken."""
    queue = InputQueue(max_bytes=4)
    queue.type(b"abc")
    with pytest.raises(InputFull):
        queue.type(b"de")
    queue.type(b"d")
    assert queue.take() == b"abcd"
    queue.type(b"efgh")
    assert everything(queue) == [b"efgh"]


def test_a_paste() -> None:
    """It leaves in pieces, so that each has its time to be read, and makes room as it goes."""
    queue = InputQueue(max_bytes=2 * PIECE_BYTES)
    queue.type(b"x" * 2 * PIECE_BYTES)
    queue.resize(Size(80, 24))
    assert queue.take() == b"x" * PIECE_BYTES
    queue.type(b"y")
    assert everything(queue) == [b"x" * PIECE_BYTES, Size(80, 24), b"y"]


@given(st.lists(st.one_of(st.binary(max_size=4), st.builds(Size, st.just(80), st.just(24)))))
def test_no_input_is_lost(items: list[bytes | Size]) -> None:
    """Whatever comes in whichever order: every byte leaves once, and never two sizes in a row."""
    queue = InputQueue()
    for item in items:
        if isinstance(item, Size):
            queue.resize(item)
        else:
            queue.type(item)
    taken = everything(queue)
    typed = [item for item in taken if isinstance(item, bytes)]
    assert b"".join(typed) == b"".join(item for item in items if isinstance(item, bytes))
    assert all(type(one) is not type(next_) for one, next_ in pairwise(taken))


def test_output_leaves_in_frames() -> None:
    """Small pieces leave together, large ones in several frames."""
    buffer = OutputBuffer()
    assert buffer.take() == b""
    buffer.add(b"a")
    buffer.add(b"b")
    assert buffer.take() == b"ab"
    buffer.add(b"x" * (FRAME_BYTES + 1))
    assert [len(buffer.take()), len(buffer.take()), len(buffer)] == [FRAME_BYTES, 1, 0]


def test_when_the_process_has_to_wait() -> None:
    """From the high mark until the low one: not for every frame."""
    buffer = OutputBuffer()
    buffer.add(b"x" * (OUTPUT_HIGH_BYTES - 1))
    assert not buffer.is_full
    buffer.add(b"x")
    assert buffer.is_full
    states = []
    while buffer.take():
        states.append((len(buffer) <= OUTPUT_LOW_BYTES, buffer.has_room, buffer.is_full))
    assert states == [(False, False, False)] * 2 + [(True, True, False)] * 2
