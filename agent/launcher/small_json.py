"""Small JSON documents, strictly: the standard library's `json` would keep `re` in memory for good.

Whole numbers only, no duplicate names, no lone surrogates, at most 32 levels. What is written is canonical: names
sorted, no spaces, UTF-8, one line end after it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from typing import TypeAlias

    Json: TypeAlias = bool | int | str | list["Json"] | dict[str, "Json"] | None

MAX_DEPTH = 32
MAX_DIGITS = 18

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPED = {ord(c): f"\\{e}" for e, c in _ESCAPES.items() if e != "/"}
_ESCAPED = {n: f"\\u{n:04x}" for n in range(32)} | _ESCAPED
_WORDS = {"true": True, "false": False, "null": None}
_HEX = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")


def read(document: bytes) -> Json:
    """The value in the document.

    Raises:
        ValueError: It is none, with where it goes wrong.
    """
    reader = _Reader(document.decode())
    value = reader.value(0)
    reader.space()
    if reader.at < len(reader.text):
        raise reader.wrong("nothing more")
    return value


def canonical(value: object) -> bytes:
    """The document for a value of dict, list, tuple, str, int, bool and None.

    Raises:
        TypeError: It holds something else.
        ValueError: It holds text that UTF-8 does not know.
    """
    parts: list[str] = []
    _write(value, parts)
    parts.append("\n")
    return "".join(parts).encode()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def wrong(self, wanted: str) -> ValueError:
        return ValueError(f"not JSON: {wanted} was expected at character {self.at}")

    def space(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t", "\n", "\r"):
            self.at += 1

    def takes(self, char: str) -> bool:
        self.space()
        if found := self.text.startswith(char, self.at):
            self.at += 1
        return found

    def value(self, depth: int) -> Json:
        if depth > MAX_DEPTH:
            raise self.wrong(f"no more than {MAX_DEPTH} levels")
        self.space()
        match self.text[self.at : self.at + 1]:
            case '"':
                return self.string()
            case "{":
                return self.object(depth)
            case "[":
                return self.array(depth)
            case "t" | "f" | "n":
                return self.word()
            case _:
                return self.number()

    def object(self, depth: int) -> dict[str, Json]:
        self.at += 1
        found: dict[str, Json] = {}
        if self.takes("}"):
            return found
        while True:
            self.space()
            if not self.text.startswith('"', self.at):
                raise self.wrong("a name")
            name = self.string()
            if name in found:
                raise self.wrong("each name once")
            if not self.takes(":"):
                raise self.wrong("a colon")
            found[name] = self.value(depth + 1)
            if self.takes("}"):
                return found
            if not self.takes(","):
                raise self.wrong("a comma")

    def array(self, depth: int) -> list[Json]:
        self.at += 1
        found: list[Json] = []
        if self.takes("]"):
            return found
        while True:
            found.append(self.value(depth + 1))
            if self.takes("]"):
                return found
            if not self.takes(","):
                raise self.wrong("a comma")

    def string(self) -> str:
        parts = []
        while True:
            start = self.at + 1
            end = self.text.find('"', start)
            if end < 0:
                raise self.wrong("the end of a text")
            escape = self.text.find("\\", start, end)
            self.at = end if escape < 0 else escape
            plain = self.text[start : self.at]
            if plain and min(plain) < " ":
                raise self.wrong("no control character before this")
            parts.append(plain)
            if escape < 0:
                self.at += 1
                return "".join(parts)
            parts.append(self.escape())

    def escape(self) -> str:
        """What the escape at the backslash stands for; leaves `at` on its last character."""
        self.at += 1
        kind = self.text[self.at : self.at + 1]
        if kind != "u":
            if kind not in _ESCAPES or not kind:
                raise self.wrong("an escape")
            return _ESCAPES[kind]
        unit = self.unit()
        if 0xD800 <= unit < 0xDC00 and self.text.startswith("\\u", self.at + 1):
            self.at += 2
            low = self.unit()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
        if 0xD800 <= unit < 0xE000:
            raise self.wrong("a whole character")
        return chr(unit)

    def unit(self) -> int:
        digits = self.text[self.at + 1 : self.at + 5]
        if len(digits) < 4 or not _HEX.issuperset(digits):
            raise self.wrong("four hex digits")
        self.at += 4
        return int(digits, 16)

    def word(self) -> Json:
        for word, value in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        raise self.wrong("a value")

    def number(self) -> int:
        start = self.at
        end = start + self.text.startswith("-", start)
        while self.text[end : end + 1] in _DIGITS:
            end += 1
        digits = self.text[start:end].removeprefix("-")
        if not digits or len(digits) > MAX_DIGITS or (digits[0] == "0" and len(digits) > 1):
            raise self.wrong("a value")
        if self.text[end : end + 1] in (".", "e", "E"):
            raise self.wrong("a whole number")
        self.at = end
        return int(self.text[start:end])


def _write(value: object, parts: list[str]) -> None:
    match value:
        case None:
            parts.append("null")
        case bool():
            parts.append("true" if value else "false")
        case int():
            parts.append(str(value))
        case str():
            parts.append(f'"{value.translate(_ESCAPED)}"')
        case dict():
            between = "{"
            for name in sorted(value):
                if not isinstance(name, str):
                    raise TypeError(f"{name!r} is no name for JSON")
                parts.append(between)
                _write(name, parts)
                parts.append(":")
                _write(value[name], parts)
                between = ","
            parts.append("}" if value else "{}")
        case list() | tuple():
            between = "["
            for item in value:
                parts.append(between)
                _write(item, parts)
                between = ","
            parts.append("]" if value else "[]")
        case _:
            raise TypeError(f"{type(value).__name__} has no place in JSON")
