"""The library's own server reads our frames, and nobody who sees one knows how the next is masked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from agent.adapters.frames import MASK_BYTES, text_frames

LENGTHS = (0, 1, 125, 126, 127, 65_535, 65_536, 70_000)
"""Around those from which on the length is written in another form."""


def read_back(sent: bytes) -> list[Frame]:
    """What the library's server makes of it; it has left nothing over and finds nothing wrong."""
    server = ServerProtocol(state=State.OPEN, max_size=None)
    server.receive_data(sent)
    assert server.parser_exc is None
    assert not server.reader.buffer
    return [event for event in server.events_received() if isinstance(event, Frame)]


def as_the_library(message: bytes) -> bytes:
    """Its frame for the same message."""
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN)
    client.send_text(message)
    return b"".join(client.data_to_send())


def heads(sent: bytes, lengths: list[int]) -> Iterator[bytes]:
    """Of each frame the part before its key, and the key, where the messages have these lengths."""
    at = 0
    for length in lengths:
        head_bytes = (2 if length < 126 else 4 if length < 65_536 else 10) + MASK_BYTES
        yield sent[at : at + head_bytes]
        at += head_bytes + length


@given(st.lists(st.binary(max_size=300)))
@example([bytes(length) for length in LENGTHS])
@example([])
def test_the_server_reads_what_was_sent(messages: list[bytes]) -> None:
    """Each message is one complete frame of text, in order."""
    assert read_back(text_frames(messages)) == [Frame(Opcode.TEXT, each) for each in messages]


@pytest.mark.parametrize("length", LENGTHS)
def test_the_same_frame_as_the_librarys(length: int) -> None:
    """But for the key, which is never the same, and what is masked with it."""
    message = bytes(length)
    ours, theirs = text_frames([message]), as_the_library(message)
    assert len(ours) == len(theirs)
    (our_head,), (their_head,) = heads(ours, [length]), heads(theirs, [length])
    assert our_head[:-MASK_BYTES] == their_head[:-MASK_BYTES]


def test_each_has_a_key_of_its_own() -> None:
    """So that nobody in between can choose what is on the wire (RFC 6455, section 10.3)."""
    batches = [text_frames([bytes(8)] * 100) for _ in range(2)]
    keys = [head[-MASK_BYTES:] for sent in batches for head in heads(sent, [8] * 100)]
    assert len(set(keys)) > 190  # two of 200 are the same once in 200 000 times
    # Nothing but zeros was sent, so that the key itself is what is seen.
    assert batches[0][2 + MASK_BYTES :][:8] == keys[0] * 2
