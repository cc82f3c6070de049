"""What a log line looks like, and that no secret gets into one."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

import freezegun
import pytest
from pydantic import SecretStr

from agent.logs import JsonLines, Redactor, TextLines, configure, fact

SECRET = "5f0c1d9e-1111-4222-8333-944455556666"
LIBRARIES = (
    *("websockets", "websockets.client", "httpcore", "httpcore.http11"),
    *("urllib3", "urllib3.connectionpool", "docker"),
)

log = logging.getLogger("agent.test")


class Color(IntEnum):
    """A number with a name."""

    RED = 1


@dataclass
class Lines:
    """A configured log and what it wrote."""

    redactor: Redactor
    stream: io.StringIO

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def only(self) -> dict[str, Any]:
        (line,) = self.objects
        return line


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """The process has one logging tree; each test leaves it as it found it."""
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, LIBRARIES)]
    handlers, levels = root.handlers[:], [logger.level for logger in loggers]
    with freezegun.freeze_time("2026-01-01T00:00:00.120Z"):
        yield
    root.handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def lines(level: str = "info", *, as_json: bool = True) -> Lines:
    stream = io.StringIO()
    return Lines(configure(level, as_json, stream), stream)


def failure() -> ValueError:
    """An error with a cause and two lines of text, as raised."""
    try:
        try:
            raise ConnectionError(f"refused for {SECRET}")
        except ConnectionError as err:
            raise ValueError(f"bad answer\nfrom {SECRET}") from err
    except ValueError as err:
        return err


# The shape of a line


def test_a_json_line() -> None:
    """Time in UTC with milliseconds, level, message, logger, then the fields."""
    out = lines()
    fact(log, logging.WARNING, "link lost", code=1011, reason="Internal error", clean=False)
    assert out.text == (
        '{"time":"2026-01-01T00:00:00.120Z","level":"warn","msg":"link lost","logger":"agent.test",'
        '"code":1011,"reason":"Internal error","clean":false}\n'
    )


def test_a_text_line() -> None:
    """The same fact for people; values with blanks in quotes."""
    out = lines(as_json=False)
    fact(log, logging.INFO, "link lost", code=1011, reason="Internal error", host="h:1", at=None)
    assert out.text == (
        "2026-01-01T00:00:00.120Z INFO  link lost "
        'code=1011 reason="Internal error" host=h:1 at=null\n'
    )


def test_the_standard_way_of_logging_works_too() -> None:
    """Libraries use formats; `extra` carries fields."""
    out = lines()
    log.info("%d of %d", 1, 3, extra={"fields": {"attempt": 2}})
    assert (out.only["msg"], out.only["attempt"]) == ("1 of 3", 2)


def test_a_message_is_not_a_format() -> None:
    """A percent sign in a fact stands for itself."""
    out = lines()
    fact(log, logging.INFO, "at 50 %s", share="100 %d")
    assert (out.only["msg"], out.only["share"]) == ("at 50 %s", "100 %d")


def test_the_root_logger_has_no_name() -> None:
    """`root` would say nothing."""
    out = lines()
    logging.getLogger().error("x")
    assert list(out.only) == ["time", "level", "msg"]


def test_the_time_is_when_it_happened() -> None:
    """The record's own time, cut to milliseconds, in UTC."""
    record = log.makeRecord("n", logging.INFO, "f", 1, "m", (), None)
    record.created = datetime(2030, 5, 6, 7, 8, 9, 999_999, UTC).timestamp()
    assert JsonLines().format(record).startswith('{"time":"2030-05-06T07:08:09.999Z"')


@pytest.mark.parametrize(
    ("level", "names"),
    [
        ("debug", ["debug", "info", "warn", "error", "critical"]),
        ("info", ["info", "warn", "error", "critical"]),
        ("warn", ["warn", "error", "critical"]),
        ("error", ["error", "critical"]),
    ],
)
def test_the_level_decides_what_is_heard(level: str, names: list[str]) -> None:
    """Levels are named as LOG_LEVEL names them."""
    out = lines(level)
    for number in (10, 20, 30, 40, 50):
        log.log(number, "x")
    assert [line["level"] for line in out.objects] == names


def test_any_value_can_be_a_field() -> None:
    """What JSON knows stays what it is; the rest becomes text."""
    out = lines()
    fact(
        log,
        logging.INFO,
        "x",
        path=Path("/data"),
        nested={"ids": ("a", "b"), 1: {"c"}},
        secret=SecretStr(SECRET),
        infinite=float("inf"),
        share=0.5,
        color=Color.RED,
        raw=b"\x00",
    )
    assert {key: out.only[key] for key in list(out.only)[4:]} == {
        "path": "/data",
        "nested": {"ids": ["a", "b"], "1": ["c"]},
        "secret": "**********",
        "infinite": "inf",
        "share": 0.5,
        "color": 1,
        "raw": "b'\\x00'",
    }


def test_a_field_does_not_hide_the_line_itself() -> None:
    """A field named like a part of the line gets an underscore."""
    out = lines()
    fact(log, logging.INFO, "m", msg="a", level="b", logger="c", exception="d", time="e")
    assert (out.only["msg"], out.only["level"], out.only["logger"]) == ("m", "info", "agent.test")
    assert [out.only[f"{key}_"] for key in ("msg", "level", "logger", "exception", "time")] == [
        *"abcde"
    ]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_fact_is_one_line(as_json: bool) -> None:
    """Line ends, orders to a terminal and halves of characters are escaped wherever they stand."""
    out = lines(as_json=as_json)
    odd = "a\nb\r\x1b[2J\u2028\x85\udc80"
    fields: dict[str, Any] = {odd: odd, "list": [odd]}
    fact(log, logging.INFO, odd, **fields)
    assert out.text.count("\n") == len(out.text.splitlines()) == 1
    assert out.text.rstrip("\n").isprintable()
    out.text.encode()


def test_text_keeps_the_letters_of_the_world() -> None:
    """Escapes are for what cannot be read."""
    out = lines(as_json=False)
    fact(log, logging.INFO, "größer", name="日本", place="Köln am Rhein")
    assert out.text.endswith('größer name=日本 place="Köln am Rhein"\n')


@pytest.mark.parametrize("value", ["", "a b", 'a"b', "a=b"])
def test_a_value_in_text_can_be_told_from_the_next(value: str) -> None:
    """Empty values and those with blanks, quotes or equal signs are quoted."""
    out = lines(as_json=False)
    fact(log, logging.INFO, "m", key=value)
    assert out.text.endswith(f"m key={json.dumps(value)}\n")


def test_a_faulty_log_call_is_told_and_goes_no_further() -> None:
    """The work it tells about goes on; the line says where to look."""
    logging.getLogger().handlers.clear()  # those of pytest raise
    out = lines()
    endless: dict[str, object] = {}
    endless["self"] = endless
    log.info("%d of %d", 1)
    fact(log, logging.INFO, "x", endless=endless)
    assert [line["msg"] for line in out.objects] == [
        "a log line could not be made: TypeError",
        "a log line could not be made: RecursionError",
    ]
    assert all(__file__ in line["line"] for line in out.objects)


# Exceptions


def test_json_has_the_traceback_in_one_field() -> None:
    """With the cause, on the same line as the fact."""
    out = lines()
    fact(log, logging.ERROR, "update failed", exc=failure(), step="pull")
    traceback = out.only["exception"]
    assert traceback.startswith("Traceback (most recent call last):")
    assert "ConnectionError: refused" in traceback
    assert "direct cause" in traceback
    assert (out.only["msg"], out.only["step"]) == ("update failed", "pull")


def test_text_has_the_exception_as_a_field() -> None:
    """People want to know what, not where."""
    out = lines(as_json=False)
    fact(log, logging.ERROR, "update failed", exc=failure())
    assert out.text.count("\n") == 1
    assert 'update failed exception="ValueError: bad answer\\nfrom ' in out.text


def test_text_at_debug_has_the_traceback_on_lines_of_its_own() -> None:
    """Here somebody looks for a cause."""
    out = lines("debug", as_json=False)
    fact(log, logging.ERROR, "update failed", exc=failure(), step="pull")
    first, second, *_, last = out.text.splitlines()
    assert first.endswith("ERROR update failed step=pull")
    assert second == "Traceback (most recent call last):"
    assert last.startswith("from ")


def test_exceptions_of_others_are_shown_too() -> None:
    """`logger.exception` in a library, and a call of it outside of any exception."""
    out = lines()
    try:
        raise KeyError("k")
    except KeyError:
        logging.getLogger("library").exception("failed")
    logging.getLogger("library").error("no exception", exc_info=True)
    assert out.objects[0]["exception"].endswith("KeyError: 'k'")
    assert "exception" not in out.objects[1]


# Secrets


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_known_secret_is_nowhere_in_a_line(as_json: bool, level: str) -> None:
    """Message, arguments, fields at any depth, their names, exceptions and their causes."""
    out = lines(level, as_json=as_json)
    out.redactor.learn(SECRET)
    log.info(f"joined {SECRET}")  # noqa: G004  what a library may do
    log.info("argument %s", SECRET)
    log.info("argument %(token)r", {"token": SECRET})
    fact(log, logging.INFO, "f", a=SECRET, b={SECRET: [{"c": (f"x{SECRET}y",)}]}, c=Path(SECRET))
    fact(log, logging.ERROR, "e", exc=failure())
    assert SECRET not in out.text
    assert out.text.count("***") >= 7


def test_a_secret_with_special_characters_is_found_before_escaping() -> None:
    """A password with quotes and umlauts looks different in JSON, and must not slip through."""
    out = lines()
    out.redactor.learn('pä"ss\\word\n1')
    fact(log, logging.INFO, 'login pä"ss\\word\n1', password='pä"ss\\word\n1')
    assert (out.only["msg"], out.only["password"]) == ("login ***", "***")


def test_a_secret_that_begins_with_another_is_masked_whole() -> None:
    """Otherwise its rest would stay readable."""
    redactor = Redactor()
    redactor.learn("password")
    redactor.learn("password-of-the-registry")
    assert redactor.clean("password-of-the-registry password") == "*** ***"


def test_a_short_secret_is_not_masked() -> None:
    """Masking `1234` or `admin` everywhere would make the log useless and give it away."""
    redactor = Redactor()
    redactor.learn("1234567")
    redactor.learn("")
    assert redactor.clean("port 1234567") == "port 1234567"


def test_secrets_are_bounded() -> None:
    """The one learned longest ago goes; learning again keeps one."""
    redactor = Redactor(max_secrets=2)
    for secret in ("secret-1", "secret-2", "secret-1", "secret-3"):
        redactor.learn(secret)
    assert redactor.clean("secret-1 secret-2 secret-3") == "*** secret-2 ***"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:pass@h/v2/", "https://h/v2/"),
        ("https://me@h", "https://h"),
        ("tcp://me:p@ss@h:1 and http://x:y@z", "tcp://h:1 and http://z"),
        ("https://h/user@example.com", "https://h/user@example.com"),
        ("https://h?mail=a@b", "https://h?mail=a@b"),
        ('{"url":"https://h","mail":"a@b"}', '{"url":"https://h","mail":"a@b"}'),
        ("image@sha256:abc", "image@sha256:abc"),
    ],
)
def test_urls_lose_their_user_and_password(text: str, clean: str) -> None:
    """Even where nobody taught us the password."""
    out = lines()
    fact(log, logging.INFO, text, url=text)
    assert (out.only["msg"], out.only["url"]) == (clean, clean)


# The libraries


@pytest.mark.parametrize(
    ("level", "websockets", "others"),
    [
        ("debug", logging.INFO, logging.DEBUG),
        ("info", logging.WARNING, logging.WARNING),
        ("warn", logging.WARNING, logging.WARNING),
        ("error", logging.ERROR, logging.ERROR),
    ],
)
def test_libraries_are_quiet(level: str, websockets: int, others: int) -> None:
    """Heard from warnings up; none shows frames or headers, not even to a debugger."""
    lines(level)
    assert [logging.getLogger(name).getEffectiveLevel() for name in LIBRARIES] == [
        *(websockets, websockets),
        *(max(websockets, logging.WARNING),) * 2,
        *(others, others, others),
    ]


def test_configuring_again_replaces() -> None:
    """No line is written twice, and what others attached stays attached."""
    mine = logging.NullHandler()
    logging.getLogger().addHandler(mine)
    before, after = lines(as_json=False), lines()
    fact(log, logging.INFO, "once")
    assert (before.text, after.only["msg"]) == ("", "once")
    formats = [type(handler.formatter) for handler in logging.getLogger().handlers]
    assert (formats.count(TextLines), formats.count(JsonLines)) == (0, 1)
    assert mine in logging.getLogger().handlers
