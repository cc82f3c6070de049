"""Whose credentials a pull gets: by Docker's own rule of what is a registry."""

from __future__ import annotations

import pytest

from agent.core.compose.credentials import HUB, needed, registry_key, registry_of
from agent.core.compose.request import RegistryCredential


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("nginx", HUB),
        ("library/nginx:1", HUB),
        ("docker.io/me/app", HUB),
        ("index.docker.io/me/app", HUB),
        ("ghcr.io/me/app:2", "ghcr.io"),
        ("nas:5000/app", "nas:5000"),
        ("localhost/app", "localhost"),
        ("localhost:5000/app", "localhost:5000"),
        ("[::1]:5000/app", "[::1]:5000"),
        ("192.0.2.7/app@sha256:" + "0" * 64, "192.0.2.7"),
        ("me/app", HUB),
        ("Not An Image", ""),
        ("", ""),
    ],
)
def test_the_registry_of_an_image(image: str, registry: str) -> None:
    """A dot, a colon or `localhost` make the first part a host; everything else is on Docker Hub."""
    assert registry_of(image) == registry


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("", HUB),
        ("docker.io", HUB),
        ("index.docker.io", HUB),
        ("https://index.docker.io/v1/", HUB),
        ("https://registry-1.docker.io", HUB),
        ("ghcr.io", "ghcr.io"),
        ("https://GHCR.io/", "ghcr.io"),
        ("http://nas:5000/v2/", "nas:5000"),
    ],
)
def test_how_a_registry_is_written(address: str, key: str) -> None:
    """As people store it, and as Docker's configuration has it."""
    assert registry_key(address) == key


def test_only_what_is_needed() -> None:
    """A project gets no credentials of registries that it has nothing from; of two for one registry, the later."""
    stored = [
        RegistryCredential(registry_url="", username="old"),
        RegistryCredential(registry_url="docker.io", username="me"),
        RegistryCredential(registry_url="nas:5000", username="nas"),
        RegistryCredential(registry_url="ghcr.io", username=""),
        RegistryCredential(registry_url="quay.io", username="other"),
    ]
    found = needed(stored, ["nginx", "nas:5000/app", "ghcr.io/app", ""])
    assert {key: each.username for key, each in found.items()} == {HUB: "me", "nas:5000": "nas"}
