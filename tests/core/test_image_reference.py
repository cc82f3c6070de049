"""The name of an image, in all the ways that people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.image_reference import ImageReference, InvalidReference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("bitnami/redis:7", "docker.io/bitnami/redis:7"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/bitnami/redis:7", "docker.io/bitnami/redis:7"),
        ("ghcr.io/owner/app:v1.2.3", "ghcr.io/owner/app:v1.2.3"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("REGISTRY/app:1", "REGISTRY/app:1"),
        ("[2001:db8::1]:5000/app:1", "[2001:db8::1]:5000/app:1"),
        ("registry.test:443/a/b/c__d--e.f_g:T_a.g-1", "registry.test:443/a/b/c__d--e.f_g:T_a.g-1"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1.27@{DIGEST}", f"docker.io/library/nginx:1.27@{DIGEST}"),
    ],
)
def test_a_name(text: str, full: str) -> None:
    """However short it is written, it means one image in one registry."""
    assert str(ImageReference.parse(text)) == full


def test_the_parts_of_a_name() -> None:
    """As the rest of the agent asks for them."""
    read = ImageReference.parse(f"ghcr.io/owner/app:v1@{DIGEST}")
    assert read == ImageReference("ghcr.io", "owner/app", "v1", DIGEST)
    assert read.name == "ghcr.io/owner/app"


@pytest.mark.parametrize(
    ("text", "server"), [("nginx", ""), ("docker.io/a/b", ""), ("r.test:5000/a", "r.test:5000")]
)
def test_whose_credentials_are_meant(text: str, server: str) -> None:
    """Docker Hub has no address of its own in credentials."""
    assert ImageReference.parse(text).auth_server == server


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("a" * 64, "is the ID of an image"),
        (DIGEST, "is the ID of an image"),
        ("nginx@sha256:abc", "has a digest that is none"),
        ("nginx@", "has a digest that is none"),
        ("nginx:", "has a tag that is none"),
        ("nginx:a b", "has a tag that is none"),
        ("nginx:-1", "has a tag that is none"),
        ("nginx:" + "t" * 129, "has a tag that is none"),
        ("Nginx:1", "has capital letters"),
        ("ghcr.io/Owner/app", "has capital letters"),
        ("ghcr.io/", "is no name of an image"),
        ("owner//app", "is no name of an image"),
        ("../etc/passwd", "begins with a registry that is no host"),
        ("a/../b", "is no name of an image"),
        ("app_", "is no name of an image"),
        ("a___b", "is no name of an image"),
        (" nginx", "is no name of an image"),
        ("nginx\n", "is no name of an image"),
        ("https://r.test/app", "begins with a registry that is no host"),
        ("r.test:99999999/app", "begins with a registry that is no host"),
        ("r.test/" + "a" * 250, "is longer than 255"),
    ],
)
def test_what_is_no_name(text: str, why: str) -> None:
    """It is refused with what is wrong, ready to stand behind the name of its field."""
    with pytest.raises(InvalidReference, match=f"^{why}"):
        ImageReference.parse(text)


@given(st.text(max_size=80))
def test_whatever_is_written(text: str) -> None:
    """It is a name or refused; a full name read again is the same name."""
    try:
        read = ImageReference.parse(text)
    except InvalidReference:
        return
    assert ImageReference.parse(str(read)) == read
