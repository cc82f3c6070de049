"""How images are named: `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, as Docker reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

DOCKER_HUB = "docker.io"

MAX_NAME_CHARS = 255
"""Of registry and repository together."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?", re.ASCII
)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(
    r"[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}", re.ASCII
)
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}", re.ASCII)


class InvalidReference(ValueError):
    """What is wrong with a text that should name an image, and what to write instead."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A name that an image can be pulled by. `str()` is its full form, the same for all ways to write it.

    Attributes:
        registry: Host and port; Docker Hub's where the text names none.
        repository: The path in the registry: `library/nginx` for Docker Hub's `nginx`.
        tag: `latest` where the text has neither tag nor digest; "" where it has a digest only.
        digest: `sha256:…`, or "". It wins over the tag.
    """

    registry: str
    repository: str
    tag: str
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what a person or a compose file would write.

        Raises:
            InvalidReference: No image can be pulled by that name.
        """
        if not text:
            raise InvalidReference("is empty; write a name such as nginx:1.27")
        if _ID.fullmatch(text):
            raise InvalidReference("is the ID of an image; write the name that it is pulled by")
        rest, at, digest = text.partition("@")
        if at and not _DIGEST.fullmatch(digest):
            raise InvalidReference("has a digest that is none; write it as sha256: and 64 digits")
        name, tag = _split_tag(rest)
        if tag is not None and not _TAG.fullmatch(tag):
            raise InvalidReference(
                "has a tag that is none; tags have at most 128 of A-Z a-z 0-9 _ . -"
            )
        registry, repository = _split_registry(name)
        _check_repository(repository)
        if registry == DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
        if len(f"{registry}/{repository}") > MAX_NAME_CHARS:
            raise InvalidReference(f"is longer than {MAX_NAME_CHARS} characters")
        return cls(registry, repository, tag or ("" if digest else "latest"), digest)

    @property
    def name(self) -> str:
        """Without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def auth_server(self) -> str:
        """The registry as credentials name it: "" for Docker Hub."""
        return "" if self.registry == DOCKER_HUB else self.registry

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")


def _split_tag(text: str) -> tuple[str, str | None]:
    """A colon before the last slash belongs to the registry's port."""
    path, colon, tag = text.rpartition(":")
    return (path, tag) if colon and "/" not in tag else (text, None)


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    # Docker's own rule: only what cannot be a part of a repository's name is taken for a host.
    is_host = slash and (set(first) & set(".:[") or first == "localhost" or first != first.lower())
    if not is_host:
        return DOCKER_HUB, name
    if not _REGISTRY.fullmatch(first):
        raise InvalidReference("begins with a registry that is no host name or address")
    return (DOCKER_HUB if first == "index.docker.io" else first), rest


def _check_repository(repository: str) -> None:
    if repository != repository.lower():
        raise InvalidReference(
            "has capital letters in its name; repositories are written in small ones"
        )
    if not all(_COMPONENT.fullmatch(part) for part in repository.split("/")):
        raise InvalidReference("is no name of an image; write it as registry/repository:tag")
