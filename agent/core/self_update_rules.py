"""Which releases are taken at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from agent.core.image_reference import ImageReference, InvalidReference

EXTRACT_LABEL = "dockmon-agent.extract"
"""On each container that a release is copied out of: the ID of the container that made it."""

RELEASE_PATH = "/opt/dockmon-agent/release"
"""Where every image has its release."""

VERSION_LABEL = "org.opencontainers.image.version"

_FULL_RELEASE = re.compile(r"v?(\d+\.\d+\.\d+(?:-?(?:a|b|rc|alpha|beta)\.?\d+)?)", re.ASCII)
_SHA256 = re.compile(r"(?:sha256:)?[0-9a-fA-F]{64}", re.ASCII)


def repositories(text: str) -> tuple[str, ...]:
    """The allow-list in UPDATE_REPOSITORIES, each in its full form.

    Raises:
        InvalidReference: One of them is no repository.
    """
    found = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        reference = ImageReference.parse(item)
        if reference.digest or (reference.tag != "latest" or item.endswith(":latest")):
            raise InvalidReference("has a tag or a digest; name repositories only")
        found.append(reference.name)
    return tuple(dict.fromkeys(found))


def repositories_of(image: str, tags: Sequence[str], digests: Sequence[str]) -> tuple[str, ...]:
    """Where a running image comes from: its own name, or what the engine calls it where that is an ID."""
    found = []
    for name in (image, *tags, *digests):
        try:
            found.append(ImageReference.parse(name).name)
        except InvalidReference:
            continue
        if name == image:
            break
    return tuple(dict.fromkeys(found))


def foreign(reference: ImageReference, allowed: Sequence[str]) -> str:
    """Why this image is not ours to become; "" if it is."""
    if reference.name in allowed:
        return ""
    known = ", ".join(allowed) or "none"
    return (
        f"{reference.name} is not where this agent comes from ({known}): it would be replaced by another product. "
        "Update with an image of that repository, or add this one to UPDATE_REPOSITORIES and restart the agent"
    )


def bad_download(url: str, checksum: str) -> str:
    """Why a native release is not fetched from there; "" if it is."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host:
        return "binary_url is no address: it has to be an https URL of a release of this agent"
    if parts.scheme != "https":
        return "binary_url is not https: whoever is on the way could change what arrives"
    if parts.username or parts.password:
        return "binary_url holds a user name or a password: leave it out"
    if not _SHA256.fullmatch(checksum):
        return "checksum is missing: it has to be the SHA-256 of the file in 64 hex digits"
    return ""


def full_release(version: str) -> str:
    """The version without its `v` if it names exactly one release, such as 3.1.0; "" for `latest` or `3.1-slim`."""
    match = _FULL_RELEASE.fullmatch(version.strip())
    return match[1] if match else ""


def wrong_version(asked: str, found: str) -> str:
    """Why the version found is not the one asked for; "" if it is, or if nothing exact was asked for."""
    if not found:
        return f"it has no label {VERSION_LABEL}, so it is no image of this agent"
    exact = full_release(asked)
    if not exact or exact == (full_release(found) or found):
        return ""
    return f"it is version {found}, and {exact} was asked for"


def wrong_platform(image: Mapping[str, Any], here: str) -> str:
    """Why an image (its inspection) does not run on `here`, such as `linux/arm64`; "" if it does."""
    found = "/".join(str(image.get(key) or "?").lower() for key in ("Os", "Architecture"))
    variant = str(image.get("Variant") or "")
    if here in (found, f"{found}/{variant}"):
        return ""
    return f"it is made for {found}, and this is {here}"
