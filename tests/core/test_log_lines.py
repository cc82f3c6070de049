"""A log in the order of time, as large as a reply may be, whatever the engine sent."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from at_once import at_once
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.core.log_lines import NOTICE, STEP_BYTES, log_text

NOW = datetime(2031, 5, 4, 12, 0, 0, 123456, tzinfo=UTC)
NOW_STAMP = "2031-05-04T12:00:00.123456000Z"
ROOM = 1_000_000
STAMPED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ")


def frame(data: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4) + data


def stamp(second: int) -> str:
    return f"2031-05-04T00:00:{second:02d}.000000000Z"


def line(second: int, text: str, stream: int = 1) -> bytes:
    return frame(f"{stamp(second)} {text}\n".encode(), stream)


def written(raw: bytes, max_bytes: int = ROOM) -> str:
    return at_once(log_text(raw, max_bytes, NOW))


def read(raw: bytes, max_bytes: int = ROOM) -> list[str]:
    text = written(raw, max_bytes)
    return text.split("\n") if text else []


def cost_bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


# --- Lines


def test_a_multiplexed_log() -> None:
    """Headers are no part of the text, and both streams are one log."""
    raw = line(1, "one") + line(2, "two", stream=2)
    assert read(raw) == [f"{stamp(1)} one", f"{stamp(2)} two"]


def test_the_log_of_a_tty() -> None:
    """It has no headers, and its lines end in CR LF."""
    raw = f"{stamp(1)} one\r\n{stamp(2)} two\r\n".encode()
    assert read(raw) == [f"{stamp(1)} one", f"{stamp(2)} two"]


def test_an_empty_log() -> None:
    """Nothing in, nothing out."""
    assert written(b"") == ""


def test_a_line_in_several_pieces() -> None:
    """The engine stamps each piece of a long line; only the first stamp is the line's."""
    raw = (
        frame(f"{stamp(1)} aaa".encode())
        + line(2, "between", stream=2)
        + frame(f"{stamp(1)} bbb".encode())
        + frame(f"{stamp(1)} ccc\n".encode())
    )
    assert read(raw) == [f"{stamp(1)} aaabbbccc", f"{stamp(2)} between"]


def test_a_piece_that_breaks_off_in_its_stamp() -> None:
    """Wherever a piece ends, the line is the same."""
    assert read(frame(b"2031-05-04T00:00:01") + frame(b".5Z one\n")) == [
        "2031-05-04T00:00:01.500000000Z one"
    ]


def test_a_piece_that_breaks_off_in_a_character() -> None:
    """Bytes are joined before they are decoded."""
    umlaut = "ü".encode()
    raw = frame(f"{stamp(1)} f".encode() + umlaut[:1]) + frame(umlaut[1:] + b"r\n")
    assert read(raw) == [f"{stamp(1)} für"]


def test_a_last_line_without_an_end() -> None:
    """A container that died in mid-line is quoted as far as it got."""
    assert read(frame(f"{stamp(1)} Segmentation fau".encode())) == [f"{stamp(1)} Segmentation fau"]


def test_what_is_not_utf8_is_replaced() -> None:
    """A binary log is shown as far as it is text."""
    assert read(frame(f"{stamp(1)} a".encode() + b"\xff\x00b\n")) == [f"{stamp(1)} a\ufffd\x00b"]


def test_an_empty_line() -> None:
    """It keeps its stamp: the server drops a line that is blank."""
    assert read(frame(f"{stamp(1)} \n".encode())) == [f"{stamp(1)} "]


# --- Stamps


@pytest.mark.parametrize(
    ("stamped", "normal"),
    [
        ("2031-05-04T00:00:01Z", "2031-05-04T00:00:01.000000000Z"),
        ("2031-05-04T00:00:01.25Z", "2031-05-04T00:00:01.250000000Z"),
        ("2031-05-04T01:30:01.123456789+01:30", "2031-05-04T00:00:01.123456789Z"),
        ("2031-05-03T22:00:01-02:00", "2031-05-04T00:00:01.000000000Z"),
    ],
)
def test_stamps_are_written_alike(stamped: str, normal: str) -> None:
    """In UTC, with nine digits: what the server takes, and what can be compared."""
    assert read(frame(f"{stamped} text\n".encode())) == [f"{normal} text"]


@pytest.mark.parametrize(
    "head", ["2031-05-04", "0001-01-01T00:00:00+23:00", "2031-99-99T00:00:00+01:00"]
)
def test_what_is_no_instant_is_text(head: str) -> None:
    """A line that came without a stamp gets one, and loses nothing."""
    assert read(frame(f"{head} text\n".encode())) == [f"{NOW_STAMP} {head} text"]


def test_a_missing_stamp() -> None:
    """It is that of the line before it in its stream, else of the one after it, else the present."""
    raw = frame(b"first\n") + line(3, "second") + frame(b"third\n") + frame(b"alone\n", stream=2)
    assert read(raw) == [
        f"{stamp(3)} first",
        f"{stamp(3)} second",
        f"{stamp(3)} third",
        f"{NOW_STAMP} alone",
    ]


# --- Order


def test_streams_are_merged_by_time() -> None:
    """All of stdout before all of stderr is no order."""
    raw = line(1, "a") + line(3, "c") + line(2, "b", stream=2) + line(4, "d", stream=2)
    assert [entry[-1] for entry in read(raw)] == ["a", "b", "c", "d"]


def test_equal_stamps_stay_as_they_came() -> None:
    """Nothing else is known about them."""
    raw = line(1, "a") + line(1, "b", stream=2) + line(1, "c")
    assert [entry[-1] for entry in read(raw)] == ["a", "b", "c"]


def test_a_clock_that_was_set_back() -> None:
    """A stream is never torn out of its order; its stamps are shown as they are."""
    raw = line(5, "a") + line(2, "b") + line(4, "x", stream=2) + line(6, "c")
    assert read(raw) == [f"{stamp(4)} x", f"{stamp(5)} a", f"{stamp(2)} b", f"{stamp(6)} c"]


# --- Size


def test_what_is_too_large_loses_its_oldest_lines() -> None:
    """A first line says so, with the stamp of the first one that is left."""
    raw = b"".join(line(second, "x" * 100) for second in range(10))
    kept = read(raw, max_bytes=500)
    assert kept == [f"{stamp(7)} {NOTICE}", *(f"{stamp(s)} {'x' * 100}" for s in (7, 8, 9))]


def test_a_log_that_just_fits_is_whole() -> None:
    """One byte less costs a line."""
    raw = b"".join(line(second, "x" * 100) for second in range(10))
    whole = written(raw)
    assert written(raw, cost_bytes(whole)) == whole
    assert written(raw, cost_bytes(whole) - 1) != whole


def test_escapes_count() -> None:
    """A control character takes six bytes on the wire."""
    raw = line(1, "\x00" * 100) + line(2, "\x00" * 100)
    kept = read(raw, max_bytes=cost_bytes(f"{stamp(2)} {NOTICE}\n{stamp(2)} " + "\x00" * 100))
    assert [len(entry) for entry in kept[1:]] == [len(stamp(2)) + 101]


def test_a_line_that_is_larger_than_everything() -> None:
    """Its beginning tells more than nothing."""
    notice, rest = read(line(1, "x" * 10_000), max_bytes=1000)
    assert notice == f"{stamp(1)} {NOTICE}"
    assert rest.startswith(f"{stamp(1)} xxx")
    assert cost_bytes(f"{notice}\n{rest}") <= 1000


# --- Pauses


@pytest.mark.parametrize("text", ["x", "x" * 2000, "\x1b" * 2000])
@pytest.mark.parametrize("tty", [False, True])
def test_it_pauses_all_along(text: str, tty: bool) -> None:
    """Reading, writing and, where the size is in question, measuring: none goes on for long."""
    one = f"{stamp(1)} {text}\n".encode()
    raw = (one if tty else frame(one)) * (10 * STEP_BYTES // len(one))
    pauses = len(list(log_text(raw, len(raw) // 2, NOW)))
    assert pauses >= 20


def test_a_tty_is_read_line_by_line() -> None:
    """However long they are: nothing within a line is taken for a stamp that the engine put before a piece."""
    head = f"{stamp(1)} "
    long = head + "x" * (STEP_BYTES - len(head)) + f"{stamp(2)} quoted"
    assert read(f"{long}\n{stamp(3)} next\n".encode()) == [long, f"{stamp(3)} next"]


# --- Whatever comes

ENTRIES = st.lists(
    st.tuples(
        st.integers(0, 59),
        st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=20),
        st.integers(1, 2),
    ),
    max_size=20,
)


@given(st.binary(max_size=300), st.integers(150, 1000))
def test_any_bytes_become_stamped_lines_within_the_budget(raw: bytes, max_bytes: int) -> None:
    """Nothing is raised, each line has a stamp, and the reply is never too large."""
    text = written(raw, max_bytes)
    assert cost_bytes(text) <= max_bytes
    assert all(STAMPED.match(entry) for entry in text.split("\n") if text)


@given(ENTRIES)
def test_every_line_is_there_and_each_stream_in_its_order(
    entries: list[tuple[int, str, int]],
) -> None:
    """Merging neither loses, adds nor swaps within a stream."""
    marked = [(second, f"{stream}:{text}", stream) for second, text, stream in entries]
    got = [entry.partition(" ")[2] for entry in read(b"".join(line(*each) for each in marked))]
    for number in (1, 2):
        given_it = [text for _, text, stream in marked if stream == number]
        assert [text for text in got if text.startswith(f"{number}:")] == given_it
    assert len(got) == len(entries)


@given(ENTRIES)
def test_clocks_that_run_forward_give_an_order_of_time(entries: list[tuple[int, str, int]]) -> None:
    """With streams that are sorted, so is the log."""
    stamps = [
        entry.partition(" ")[0] for entry in read(b"".join(line(*each) for each in sorted(entries)))
    ]
    assert stamps == sorted(stamps)


@given(ENTRIES, st.data())
def test_where_pieces_end_makes_no_difference(
    entries: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    """The engine may cut a stream anywhere: in a line, in a stamp, in a character."""
    assume(not any(re.search(r"\d{4}-\d\d-\d\dT", text) for _, text, _ in entries))
    streams = {
        number: b"".join(
            f"{stamp(second)} {text}\n".encode()
            for second, text, stream in entries
            if stream == number
        )
        for number in (1, 2)
    }
    cut = b""
    for number, whole in streams.items():
        at = 0
        while at < len(whole):
            size = data.draw(st.integers(1, 40))
            cut += frame(whole[at : at + size], number)
            at += size
    together = frame(streams[1], 1) + frame(streams[2], 2)
    assert written(cut) == written(together)


@given(ENTRIES, st.integers(150, 2000))
def test_what_is_kept_is_the_end(entries: list[tuple[int, str, int]], max_bytes: int) -> None:
    """As many of the newest lines as fit, and none from between."""
    raw = b"".join(line(*each) for each in entries)
    whole, kept = read(raw), read(raw, max_bytes)
    if kept != whole:
        assert kept[0].endswith(NOTICE)
        assert kept[1:] == whole[-len(kept[1:]) :]
        assert cost_bytes("\n".join(kept)) <= max_bytes
