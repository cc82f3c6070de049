"""What is wrong with a value that was refused, told without the value: it may be a secret."""

from __future__ import annotations

from pydantic import ValidationError


def first_fault(error: ValidationError, whole: str, *, skip: int = 0) -> str:
    """The first fault in `error`, with where it is; `whole` names the value if it is all of it.

    Args:
        skip: How many steps of the way there are the model's and mean nothing to whoever sent the value.
    """
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # Of a mapping's key pydantic says that it is one; what is wrong with it says enough.
    where = ".".join(str(part) for part in first["loc"][skip:] if part != "[key]") or whole
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
