"""One pull: its credentials, its progress, its errors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from docker.utils import parse_repository_tag

from agent.adapters.engine.errors import brief
from agent.adapters.engine.wire import Call, Wire
from agent.ports import EngineRefused, Json, NotFound, RegistryAuth


def pull(
    wire: Wire,
    call: Call,
    image: str,
    auth: RegistryAuth | None,
    progress: Callable[[Json], None],
) -> None:
    """Pulls `image`, and reports each step on this thread.

    Raises:
        EngineRefused: The engine or the registry refused, at once or in the middle.
    """
    # Without a tag the engine would pull every one there is.
    repository, tag = parse_repository_tag(image)
    params = {"fromImage": repository, "tag": tag or "latest"}
    try:
        with wire.open(
            call, "POST", "/images/create", params, headers=login_headers(auth)
        ) as response:
            for line in wire.lines(response, call):
                if (step := _step(line)) is not None:
                    _raise_error(step)
                    progress(step)
    except EngineRefused as refusal:
        raise _without_password(refusal, auth) from None


def login_headers(auth: RegistryAuth | None) -> Mapping[str, str]:
    """What a request carries that makes the engine ask a registry."""
    if auth is None:
        return {}
    login = {
        "username": auth.username,
        "password": auth.password,
        "serveraddress": auth.server,
    }
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(login).encode()).decode()}


def _step(line: bytes) -> Json | None:
    try:
        step: Any = json.loads(line)
    except ValueError:
        return None
    return step if isinstance(step, dict) else None


def _raise_error(step: Json) -> None:
    """The error that a step may be: `{"error": TEXT, "errorDetail": {"code", "message"}}`."""
    if not (step.get("error") or step.get("errorDetail")):
        return
    detail = step.get("errorDetail")
    detail = detail if isinstance(detail, dict) else {}
    code = detail.get("code")
    text = detail.get("message") or step.get("error") or "The pull failed without a reason"
    status = code if isinstance(code, int) else 500
    raise (NotFound if status == 404 else EngineRefused)(brief(str(text)), status)


def _without_password(refusal: EngineRefused, auth: RegistryAuth | None) -> EngineRefused:
    """A registry may quote what it was given."""
    text = str(refusal)
    if not auth or not auth.password or auth.password not in text:
        return refusal
    return type(refusal)(text.replace(auth.password, "***"), refusal.status)
