"""What a shell prints, for a screen that is not its terminal."""

from __future__ import annotations

import codecs
import re

_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, moves of the cursor, questions
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\|(?=\x1b))"  # OSC: titles
    r"|[ -/]*[0-Z\\^-~])"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]*)\Z")

MAX_HELD = 4096


class PlainText:
    """Decodes UTF-8 that comes in pieces, and leaves out whatever is meant for the terminal.

    Shells ask the terminal where its cursor is. The screen of a prompt that works line by line would answer, and the
    answer would stand in the next line that is typed.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes) -> str:
        """The text in `data`; a sequence that has not ended yet is held back."""
        text = self._held + self._decoder.decode(data)
        text = _SEQUENCE.sub("", text)
        unfinished = _UNFINISHED.search(text)
        begins = unfinished.start() if unfinished else len(text)
        self._held = text[begins:][:MAX_HELD]
        return text[:begins]
