"""Reference pages that are made from the code."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from pydantic.fields import FieldInfo

from agent.core.durations import GO_BOOLEAN_FORMS
from agent.settings import Form, Settings

SETTINGS_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"

_INTRODUCTION = f"""\
# Settings

<!-- Made from agent/settings.py by `make docs`; do not edit. -->

The agent is set up by environment variables. A value that is missing, empty or blank leaves the
default.

- **From a file.** Every variable below may be given as `NAME_FILE` instead: the path of a regular
  UTF-8 file of at most 64 KiB with the value, whose trailing line ends are cut off. Giving both is
  an error. `REGISTRATION_TOKEN_FILE` and `PERMANENT_TOKEN_FILE` are read again every 10 s; where
  such a file cannot be read, the agent says so and goes on with the token it has stored.
- **Durations** are numbers with a unit, `ns`, `us`, `ms`, `s`, `m` or `h`, one after the other:
  `500ms`, `1m30s`, `1.5h`.
- **Booleans** are {GO_BOOLEAN_FORMS}.
  Anything else leaves the default, and the log says so.
- **Anything else that cannot be right** ends the agent at once with exit code 78 and one line that
  names the variable, what is wrong and what to write instead. It never repeats what was
  written, for that may be a secret.

| Variable | Form | Default | Meaning |
|---|---|---|---|
"""


def settings_reference() -> str:
    """The text of `docs/reference/settings.md`: one row for each setting, in their order."""
    rows = [
        f"| `{field.alias}` | {_form(field)} | {_default(field)} | {field.description} |\n"
        for field in Settings.model_fields.values()
    ]
    return _INTRODUCTION + "".join(rows)


def _form(field: FieldInfo) -> str:
    # In `Token | None` the form belongs to the first member of the union.
    metadata = [*field.metadata, *(m for arg in get_args(field.annotation) for m in get_args(arg))]
    return next(m.text for m in metadata if isinstance(m, Form))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra["default"])
    if field.default is None:
        return "–"  # noqa: RUF001  a dash that stands alone in its cell
    value = str(field.default)
    return f"`{value.lower() if isinstance(field.default, bool) else value}`"


def write() -> None:
    """Writes the generated pages below the current directory, which is the project's."""
    SETTINGS_PAGE.parent.mkdir(parents=True, exist_ok=True)
    SETTINGS_PAGE.write_text(settings_reference(), encoding="utf-8")
