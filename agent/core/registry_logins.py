"""Credentials for registries as Docker's config.json has them under `auths`."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.core.image_reference import DOCKER_HUB

_HUB = {"index.docker.io", "registry-1.docker.io", DOCKER_HUB}


class NoLogins(ValueError):
    """It is no such document. The text says what is wrong, and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: str = field(repr=False)


def logins(text: str) -> Mapping[str, Login]:
    """By the registry's name, "" for Docker Hub. Entries without credentials, as helpers leave them, are left out.

    Raises:
        NoLogins: It cannot be read.
    """
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise NoLogins("it is not JSON") from None
    auths = document.get("auths") if isinstance(document, dict) else None
    if not isinstance(auths, dict):
        raise NoLogins('it has no "auths"')
    found = {}
    for server, entry in auths.items():
        if (login := _login(entry, server)) is not None:
            found[_registry(server)] = login
    return found


def _login(entry: Any, server: str) -> Login | None:
    if not isinstance(entry, dict):
        raise NoLogins(f"its entry for {server[:100]} is no object")
    username, password = entry.get("username"), entry.get("password")
    if isinstance(entry.get("auth"), str) and entry["auth"]:
        try:
            decoded = base64.b64decode(entry["auth"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise NoLogins(f"its auth for {server[:100]} is not base64 of USER:PASSWORD") from None
        username, colon, password = decoded.rstrip("\0").partition(":")
        if not colon:
            raise NoLogins(f"its auth for {server[:100]} is not base64 of USER:PASSWORD")
    if isinstance(username, str) and isinstance(password, str) and username:
        return Login(username, password)
    return None


def _registry(server: str) -> str:
    """Docker writes some with a scheme and a path."""
    host = server.partition("://")[2] or server
    host = host.partition("/")[0]
    return "" if host in _HUB else host
