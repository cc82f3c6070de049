"""What a shell prints, without what is meant for its terminal."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hub.verbs.plain_text import MAX_HELD, PlainText

CASES = [
    ("/ # \x1b[6n", "/ # "),  # where is the cursor?
    ("\x1b[1;31mred\x1b[0m\r\n", "red\r\n"),
    ("\x1b]0;a title\x07$ ", "$ "),
    ("\x1b]0;a title\x1b\\$ ", "$ "),
    ("\x1b[?2004h$ \x1b[K", "$ "),
    ("\x1b(B\x1b7plain\x1b8 é", "plain é"),
    ("50 % [done]\t", "50 % [done]\t"),
]


@pytest.mark.parametrize(("printed", "text"), CASES)
def test_only_text_is_left(printed: str, text: str) -> None:
    """Neither colours nor titles nor questions to the terminal."""
    assert PlainText().feed(printed.encode()) == text


@given(case=st.sampled_from(CASES), cuts=st.lists(st.integers(0, 30)))
def test_it_may_come_in_any_pieces(case: tuple[str, str], cuts: list[int]) -> None:
    """Cut anywhere, in the middle of a character or of a sequence, it reads the same."""
    data, text = case[0].encode(), PlainText()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[begin:end] for begin, end in itertools.pairwise(edges)]
    assert "".join(map(text.feed, pieces)) == case[1]


def test_a_sequence_that_never_ends_is_not_kept_for_ever() -> None:
    """What a program prints is no measure for memory, and what follows the end is shown."""
    text = PlainText()
    for _ in range(10):
        assert text.feed(b"\x1b]" + b"x" * MAX_HELD) == ""
    assert text.feed(b"\x07here\n") == "here\n"
