"""What is kept of a log that is too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.engine.logs import LogTail


def frame(payload: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4) + payload


def tail(log: bytes, max_bytes: int, piece_bytes: int = 1 << 20) -> bytes:
    kept = LogTail(max_bytes)
    for start in range(0, len(log), piece_bytes):
        kept.feed(log[start : start + piece_bytes])
    return kept.value()


ONE, TWO, THREE = frame(b"2026 one\n"), frame(b"2026 two\n", 2), frame(b"2026 three\n")


def test_a_log_that_fits_is_kept_as_it_is() -> None:
    """Frames of both streams, empty ones too, byte for byte."""
    log = ONE + frame(b"") + TWO
    assert tail(log, len(log)) == log


def test_the_oldest_frames_are_lost_whole() -> None:
    """One byte too many costs the first frame, never a part of it."""
    assert tail(ONE + TWO + THREE, len(ONE + TWO + THREE) - 1) == TWO + THREE


def test_a_frame_larger_than_everything_is_lost_with_all_before_it() -> None:
    """It cannot be kept, and what follows it can; its bytes are not gathered meanwhile."""
    large = frame(b"x" * 1000)
    assert tail(ONE + large + TWO, 100) == TWO
    assert tail(ONE + large + TWO, 100, piece_bytes=7) == TWO


def test_a_frame_without_an_end_is_left_out() -> None:
    """A log that breaks off in a frame ends with the last whole one."""
    assert tail(ONE + TWO[:-1], 100) == ONE


def test_the_log_of_a_tty_is_cut_between_lines() -> None:
    """Lines are what a TTY's log consists of; a last line may lack its end."""
    assert tail(b"2026 one\n2026 two\n2026 thr", 20) == b"2026 two\n2026 thr"


def test_a_line_larger_than_everything_is_lost() -> None:
    """No line of a TTY is gathered beyond what may be kept."""
    assert tail(b"2026 " + b"x" * 1000 + b"\n2026 two\n", 20, piece_bytes=10)[-9:] == b"2026 two\n"


def test_an_empty_log_is_empty() -> None:
    """Nothing came, nothing is kept."""
    assert tail(b"", 100) == b""


@given(
    st.lists(st.binary(max_size=50), max_size=30),
    st.integers(min_value=1, max_value=400),
    st.integers(min_value=1, max_value=100),
)
def test_however_it_arrives_the_newest_frames_are_kept(
    payloads: list[bytes], max_bytes: int, piece_bytes: int
) -> None:
    """As many frames from the end as fit, wherever the connection happens to cut."""
    frames = [frame(payload) for payload in payloads]
    while sum(map(len, frames)) > max_bytes:
        frames.pop(0)
    assert tail(b"".join(map(frame, payloads)), max_bytes, piece_bytes) == b"".join(frames)
