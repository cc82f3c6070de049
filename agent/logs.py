"""What the agent's log lines look like, and what never stands in one.

A line tells one fact: a message that stays the same, and fields that vary.
"""

from __future__ import annotations

import logging
import math
import re
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from json import dumps
from typing import TextIO

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_NAMES = {number: name for name, number in _LEVELS.items()}
_MASK = "***"
_USERINFO = re.compile(r"""://[^\s/?#"<>]*@""")
_RESERVED = ("time", "level", "msg", "logger", "exception")
_PLAIN_WORD = re.compile(r'[^\s"=]+')


class Redactor(logging.Filter):
    """Takes secrets out of a record before any formatter sees it.

    Args:
        max_secrets: How many are remembered; beyond it, the one learned longest ago is forgotten.
            The default is far above what one host has at a time: two tokens and the credentials of
            its registries.
    """

    MIN_CHARS = 8
    """Shorter secrets are not masked: they would blot out ordinary words and thereby tell."""

    def __init__(self, max_secrets: int = 256) -> None:
        super().__init__()
        self._max_secrets = max_secrets
        self._learned: dict[str, None] = {}
        self._longest_first: tuple[str, ...] = ()

    def learn(self, secret: str) -> None:
        """From now on `secret` is masked; learning it again keeps it from being forgotten."""
        if len(secret) < self.MIN_CHARS:
            return
        self._learned.pop(secret, None)
        self._learned[secret] = None
        if len(self._learned) > self._max_secrets:
            del self._learned[next(iter(self._learned))]
        # Longest first, for one secret may begin with another. A new tuple in one assignment,
        # for other threads may be logging.
        self._longest_first = tuple(sorted(self._learned, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """`text` with known secrets masked and without the `user:pass@` of URLs."""
        for secret in self._longest_first:
            text = text.replace(secret, _MASK)
        return _USERINFO.sub("://", text)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite `record` in place: message, arguments, fields and exception."""
        try:
            self._rewrite(record)
        # Whatever is wrong with what was to be logged must not end the work the line tells about.
        except Exception as error:
            record.msg, record.args = f"a log line could not be made: {type(error).__name__}", None
            record.exc_info = record.exc_text = None
            record.__dict__["fields"] = {"line": f"{record.pathname}:{record.lineno}"}
        return True

    def _rewrite(self, record: logging.LogRecord) -> None:
        record.msg, record.args = self.clean(record.getMessage()), None
        record.__dict__["fields"] = self._plain(getattr(record, "fields", {}))
        error = record.exc_info[1] if record.exc_info else None
        record.exc_info = record.exc_text = None  # another handler may have put its text there
        if error is not None:
            full, brief = traceback.format_exception(error), traceback.format_exception_only(error)
            record.exc_text = self.clean("".join(full)).rstrip()
            record.__dict__["exc_brief"] = self.clean("".join(brief)).rstrip()

    def _plain(self, value: object) -> object:
        """`value` as clean JSON data; what JSON does not know becomes text."""
        match value:
            case None | bool() | int():
                return value
            case float() if math.isfinite(value):
                return value
            case Mapping():
                return {self.clean(str(key)): self._plain(item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._plain(item) for item in value]
            case _:
                return self.clean(str(value))


class JsonLines(logging.Formatter):
    """One JSON object per line: `time`, `level`, `msg`, `logger`, the fields, `exception`.

    `exception` is a whole traceback. A field with one of these names gets an underscore after it.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": _level_name(record),
            "msg": record.getMessage(),
        }
        if record.name != "root":
            line["logger"] = record.name
        for key, value in _fields(record):
            line[f"{key}_" if key in _RESERVED else key] = value
        if record.exc_text:
            line["exception"] = record.exc_text
        return dumps(line, separators=(",", ":"))


class TextLines(logging.Formatter):
    """`2026-01-01T00:00:00.000Z INFO  message key=value`, for people.

    Args:
        tracebacks: Whether an exception's traceback follows on lines of its own; otherwise the
            exception is one more field.
    """

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        level = _level_name(record).upper()
        words = [_time(record), f"{level:<5}", _one_line(record.getMessage())]
        words += [f"{_word(key)}={_word(value)}" for key, value in _fields(record)]
        if not record.exc_text:
            return " ".join(words)
        if not self._tracebacks:
            brief = getattr(record, "exc_brief", record.exc_text)
            return " ".join([*words, f"exception={_word(brief)}"])
        return "\n".join([" ".join(words), *map(_one_line, record.exc_text.splitlines())])


def configure(level: str, json: bool, stream: TextIO) -> Redactor:
    """Send the log of the whole process to `stream`; called again, it replaces what it set up.

    The `websockets` logger never goes below info, for at debug it shows frames, and frames hold
    tokens and environment variables; nor `httpcore` below warnings, for it shows headers. They,
    `urllib3` and `docker` are heard from warnings up unless the agent itself is debugged.

    Args:
        level: `debug`, `info`, `warn` or `error`.
        json: JSON lines, otherwise text.

    Returns:
        The redactor that every line passes: teach it each secret as soon as it is known.
    """
    threshold = _LEVELS[level]
    redactor = Redactor()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if json else TextLines(tracebacks=level == "debug"))
    handler.addFilter(redactor)
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h.formatter, JsonLines | TextLines)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(threshold)
    debugged = level == "debug"
    libraries = threshold if debugged else max(threshold, logging.WARNING)
    logging.getLogger("urllib3").setLevel(libraries)
    logging.getLogger("docker").setLevel(libraries)
    # It tells each callback of each move; the moves themselves are told by us.
    logging.getLogger("transitions").setLevel(logging.WARNING)
    logging.getLogger("websockets").setLevel(max(libraries, logging.INFO))
    logging.getLogger("httpcore").setLevel(max(libraries, logging.WARNING))
    return redactor


def fact(
    logger: logging.Logger,
    level: int,
    msg: str,
    /,
    *,
    exc: BaseException | None = None,
    **fields: object,
) -> None:
    """Log one fact: `fact(log, logging.INFO, "link lost", code=1011, attempt=3)`."""
    # The message is never a format: a percent sign in it stands for itself.
    logger.log(level, "%s", msg, exc_info=exc, extra={"fields": fields}, stacklevel=2)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _level_name(record: logging.LogRecord) -> str:
    return _NAMES.get(record.levelno, record.levelname.lower())


def _fields(record: logging.LogRecord) -> Iterable[tuple[str, object]]:
    fields: Mapping[str, object] = getattr(record, "fields", {})
    return fields.items()


def _word(value: object) -> str:
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value):
        return _one_line(value)
    return _one_line(dumps(value, ensure_ascii=False))


def _one_line(text: str) -> str:
    """`text` with line ends and what else a terminal could take for an order as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
