"""Newest only, everybody in turn, and never more than there is room for."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from agent.core.slots import Slots

CAPACITY = 3


def filled(*keys: str) -> Slots[str]:
    slots: Slots[str] = Slots(CAPACITY)
    for number, key in enumerate(keys):
        slots.put(key, f"{key}{number}")
    return slots


def test_first_come_first_served() -> None:
    """Whoever waited longest goes first; the rest keeps waiting."""
    slots = filled("a", "b", "c")
    assert slots.take(2) == ["a0", "b1"]
    assert slots.take(2) == ["c2"]
    assert slots.take(2) == []


def test_the_newest_message_in_the_oldest_place() -> None:
    """A container that reports often neither loses its turn nor gets two."""
    assert filled("a", "b", "a").take(9) == ["a2", "b1"]


def test_a_key_too_many() -> None:
    """What has waited longest is dropped: it is the least worth."""
    assert filled("a", "b", "c", "d").take(9) == ["b1", "c2", "d3"]


def test_clearing() -> None:
    """Nothing waits any more."""
    slots = filled("a", "b")
    slots.clear()
    assert (len(slots), slots.take(9)) == (0, [])


@given(st.lists(st.sampled_from("abcde") | st.none()))
def test_whatever_is_put_and_taken(steps: list[str | None]) -> None:
    """It is an ordered mapping with a bound: one message a key, in the order the keys came (None: one is taken)."""
    slots: Slots[int] = Slots(CAPACITY)
    expected: OrderedDict[str, int] = OrderedDict()
    for number, key in enumerate(steps):
        if key is None:
            assert slots.take(1) == list(expected.values())[:1]
            if expected:
                expected.popitem(last=False)
        else:
            slots.put(key, number)
            expected[key] = number
            if len(expected) > CAPACITY:
                expected.popitem(last=False)
        assert len(slots) == len(expected) <= CAPACITY
