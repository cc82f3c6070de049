"""Which registries a project pulls from, and the credentials for those."""

from __future__ import annotations

from collections.abc import Iterable

from agent.core.compose.request import RegistryCredential
from agent.core.image_reference import ImageReference, InvalidReference

HUB = "https://index.docker.io/v1/"
"""What Docker Hub is called in a Docker configuration, and nowhere else."""

_HUB_NAMES = ("", "docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com")


def registry_key(address: str) -> str:
    """How a Docker configuration names the registry at `address`: a host and port, or Docker Hub's own name."""
    host = address.strip().partition("://")[2] or address.strip()
    host = host.partition("/")[0].lower()
    return HUB if host in _HUB_NAMES else host


def registry_of(image: str) -> str:
    """The key of the registry that `image` is pulled from; "" if it names no image."""
    try:
        return registry_key(ImageReference.parse(image).auth_server)
    except InvalidReference:
        return ""


def needed(
    credentials: Iterable[RegistryCredential], images: Iterable[str]
) -> dict[str, RegistryCredential]:
    """Those of `credentials` that `images` may need, by the registry's key. Of several for one, the last."""
    registries = {registry_of(image) for image in images}
    found = {registry_key(each.registry_url): each for each in credentials}
    return {key: each for key, each in found.items() if key in registries and each.username}
