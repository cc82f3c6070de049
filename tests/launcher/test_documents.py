"""The launcher's own JSON and its records: as the standard library's, but strict and small."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.launcher.record import Record
from agent.launcher.small_json import MAX_DEPTH, canonical, read
from agent.launcher.state import Failure, Result, State, StateError, Trial, dump, load

whole = st.integers(-(10**18) + 1, 10**18 - 1)
plain = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.none() | st.booleans() | whole | plain,
    lambda inner: st.lists(inner) | st.dictionaries(plain, inner),
    max_leaves=30,
)


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_reads_what_json_writes(value: object, is_ascii: bool, indent: int | None) -> None:
    """In whichever style."""
    assert read(json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()) == value


@given(values)
def test_writes_what_json_writes(value: object) -> None:
    """Canonical: sorted, without spaces, UTF-8, one line end; and it reads that again."""
    wanted = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value) == f"{wanted}\n".encode()
    assert read(canonical(value)) == value


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("twice")
    return dict(pairs)


def no_number(text: str) -> Any:
    raise ValueError(text)


pieces = st.lists(
    st.sampled_from(
        [*'{}[]:,"\\ -0123eE.\n\t', "true", "null", '"a"', "\\u00e9", "\\ud800", "\\udc00", "\x01"]
    ),
    max_size=12,
).map("".join)


@given(pieces)
def test_refuses_what_json_refuses(text: str) -> None:
    """And fractions, names given twice, and half characters."""
    try:
        expected = json.loads(
            text, object_pairs_hook=unique, parse_float=no_number, parse_constant=no_number
        )
        json.dumps(expected, ensure_ascii=False).encode()
    except ValueError:
        with pytest.raises(ValueError, match="not JSON"):
            read(text.encode())
    else:
        assert read(text.encode()) == expected


@given(st.binary(max_size=60))
def test_any_bytes(document: bytes) -> None:
    """A document is read or refused; nothing else happens."""
    with contextlib.suppress(ValueError):
        read(document)


def test_depth() -> None:
    """A hostile document does not exhaust the stack."""
    assert read(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(ValueError, match="levels"):
        read(b"[" * 100_000)


@pytest.mark.parametrize("value", [1.5, math.nan, b"x", {1: 2}, {"a": object()}])
def test_what_has_no_place(value: object) -> None:
    """Only what the reader takes is written."""
    with pytest.raises(TypeError):
        canonical(value)


texts = st.text(max_size=20).filter(lambda text: text.isprintable())
states = st.builds(
    State,
    seq=st.integers(0, 10**9),
    active=st.none() | texts,
    fallback=st.none() | texts,
    trial=st.none()
    | st.builds(
        Trial, texts, texts, texts, texts, st.integers(1, 9), st.booleans(), st.none() | texts
    ),
    baked_seen=texts,
    failed=st.dictionaries(texts, st.builds(Failure, texts, texts, st.integers(0, 3), texts)),
    crashes=st.integers(0, 9),
    security_floor=st.integers(0, 9),
    last_result=st.none() | st.builds(Result, texts, texts, texts, texts, texts, st.booleans()),
)


@given(states)
def test_a_state_is_read_as_it_was_written(state: State) -> None:
    """All of it."""
    assert load(dump(state)) == state


@given(states, st.data())
def test_a_state_that_is_torn_or_altered(state: State, data: st.DataObject) -> None:
    """Cut off anywhere, or one byte changed: it is no state."""
    document = dump(state)
    cut = data.draw(st.integers(0, len(document) - 2))
    altered = bytearray(document)
    altered[cut] ^= data.draw(st.integers(1, 255))
    for broken in (document[:cut], bytes(altered)):
        with pytest.raises(StateError):
            load(broken)


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b"null", b"\0" * 512])
def test_no_state(document: bytes) -> None:
    """What something else wrote is refused."""
    with pytest.raises(StateError):
        load(document)


class Pair(Record):
    left: int
    right: str = "x"


def test_records() -> None:
    """Named or in order, with defaults, equal by value, not to be changed."""
    assert Pair(1) == Pair(left=1, right="x") == Pair(2).but(left=1)
    assert hash(Pair(1)) == hash(Pair(1, "x"))
    assert repr(Pair(1)) == "Pair(left=1, right='x')"
    with pytest.raises(AttributeError):
        Pair(1).left = 2  # type: ignore[misc]
    for wrong in ({}, {"left": 1, "middle": 2}):
        with pytest.raises(TypeError):
            Pair(**wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Pair(1, "x", 3)  # type: ignore[call-arg]
