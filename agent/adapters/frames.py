"""Text messages as a client's WebSocket frames (RFC 6455, section 5.2), a whole batch of them at once."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

try:
    from websockets.speedups import apply_mask
except ImportError:  # the library without its C part
    from websockets.utils import apply_mask

_FINAL_TEXT = 0x80 | 0x1
"""FIN and the opcode: a text message that is complete."""

_MASKED = 0x80
_IN_2_BYTES, _IN_8_BYTES = _MASKED | 126, _MASKED | 127
"""In the place of a length from 126 on, and from 64 KiB on: it follows in that many bytes."""

MASK_BYTES = 4


def text_frames(messages: Sequence[bytes]) -> bytes:
    """One final frame for each message, masked with a key of its own.

    The library takes four times as long: it makes an object for each frame, and asks the system for each key.

    Args:
        messages: In UTF-8. Nothing comes of none.
    """
    keys = os.urandom(MASK_BYTES * len(messages))  # section 5.3: nobody may foresee them
    pieces: list[bytes] = []
    for number, message in enumerate(messages):
        key = keys[MASK_BYTES * number : MASK_BYTES * (number + 1)]
        pieces += (_head(len(message)), key, apply_mask(message, key))
    return b"".join(pieces)


def _head(length_bytes: int) -> bytes:
    """What comes before the key. The shortest form is the only one allowed."""
    if length_bytes < 126:
        return struct.pack("!BB", _FINAL_TEXT, _MASKED | length_bytes)
    if length_bytes < 1 << 16:
        return struct.pack("!BBH", _FINAL_TEXT, _IN_2_BYTES, length_bytes)
    return struct.pack("!BBQ", _FINAL_TEXT, _IN_8_BYTES, length_bytes)
