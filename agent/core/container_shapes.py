"""A container as the server wants it listed: the engine's list entry, and what only an inspection knows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

NEVER = "0001-01-01"
"""How the engine writes an instant that has not come yet."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What the list does not have. Empty and None: not told.

    `image` is the reference the container was made from: the list has the image's ID once the tag moved on.
    """

    name: str = ""
    image: str = ""
    restart_policy: Json | None = None
    started_at: str = ""
    env: dict[str, str] = field(default_factory=dict)


def extras(inspected: Mapping[str, Any]) -> Extras:
    """What is of use in `GET /containers/ID/json`."""
    config, state = _object(inspected.get("Config")), _object(inspected.get("State"))
    policy = _object(inspected.get("HostConfig")).get("RestartPolicy")
    started_at = _text(state.get("StartedAt"))
    return Extras(
        name=_text(inspected.get("Name")),
        image=_text(config.get("Image")),
        restart_policy=policy if isinstance(policy, dict) else None,
        started_at="" if started_at.startswith(NEVER) else started_at,
        env=_env(config.get("Env")),
    )


def repo_digests(inspected: Mapping[str, Any]) -> tuple[str, ...]:
    """`NAME@sha256:…` of `GET /images/ID/json`; empty for an image that never came from a registry."""
    digests = inspected.get("RepoDigests")
    return tuple(map(str, digests)) if isinstance(digests, list) else ()


def entry(listed: Json, more: Extras | None, digests: Sequence[str] | None) -> Json:
    """One element of `list_containers`. `more` and `digests` are None where the engine would not tell."""
    shown = dict(listed)
    shown["Names"] = _names(listed.get("Names"), more)
    if digests is not None:
        shown["RepoDigests"] = digests
    if more is None:
        return shown
    image = _text(listed.get("Image"))
    if more.image and (not image or image.startswith("sha256:")):
        shown["Image"] = more.image
    if more.restart_policy is not None:
        shown["HostConfig"] = {
            **_object(listed.get("HostConfig")),
            "RestartPolicy": more.restart_policy,
        }
    if more.started_at:
        shown["StartedAt"] = more.started_at
    shown["Env"] = more.env
    return shown


class ListTooLarge(Exception):
    """No more can be left out of the list. `size_bytes` is what is left."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.size_bytes = size_bytes


def size_bytes(value: object) -> int:
    """What `value` takes as JSON on the wire."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "replace"))


def without_largest_env(entries: Sequence[Json], excess_bytes: int) -> list[Json]:
    """`entries`, with as many `Env` taken away, the largest first, as it takes to save `excess_bytes`.

    No entry is ever left out: the server would take the container for gone, and drop its settings.

    Raises:
        ListTooLarge: All of them together do not save so much.
    """
    sizes = {
        number: size_bytes({"Env": item["Env"]}) - 1  # its braces stay, a comma goes with it
        for number, item in enumerate(entries)
        if "Env" in item
    }
    shorter = list(entries)
    for number in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if excess_bytes <= 0:
            break
        shorter[number] = {key: item for key, item in entries[number].items() if key != "Env"}
        excess_bytes -= sizes[number]
    if excess_bytes > 0:
        raise ListTooLarge(size_bytes(shorter))
    return shorter


def _names(listed: object, more: Extras | None) -> list[str]:
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    if not names and more is not None and more.name:
        return [more.name]
    # The server reads the first. A link adds "/OTHER/ALIAS", which is no name of this container.
    return sorted(names, key=lambda name: name.count("/")) if len(names) > 1 else names


def _env(listed: object) -> dict[str, str]:
    pairs: Iterable[str] = (
        (item for item in listed if isinstance(item, str)) if isinstance(listed, list) else ()
    )
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
