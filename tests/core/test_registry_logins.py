"""Docker's config.json, as `docker login` and as people write it."""

from __future__ import annotations

import base64
import json

import pytest

from agent.core.registry_logins import Login, NoLogins, logins

PAIR = base64.b64encode(b"ci:s3:cret").decode()


@pytest.mark.parametrize(
    ("server", "registry"),
    [
        ("registry.test:5000", "registry.test:5000"),
        ("https://registry.test/v1/", "registry.test"),
        ("https://index.docker.io/v1/", ""),
        ("docker.io", ""),
    ],
)
def test_how_registries_are_written(server: str, registry: str) -> None:
    """With a scheme, with a path, or bare; Docker Hub has several names."""
    text = json.dumps({"auths": {server: {"auth": PAIR}}})
    assert logins(text) == {registry: Login("ci", "s3:cret")}


def test_both_forms_of_credentials() -> None:
    """In base64, or in the open; what a credential helper leaves is nothing."""
    auths = {"a": {"username": "u", "password": "p"}, "b": {}, "c": {"auth": ""}}
    assert logins(json.dumps({"auths": auths})) == {"a": Login("u", "p")}


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"auths": []}', '{"auths": {"a": "s3cret"}}'),
        '{"auths": {"a": {"auth": "s3cret!"}}}',
        json.dumps({"auths": {"a": {"auth": base64.b64encode(b"s3cret").decode()}}}),
    ],
)
def test_what_is_none(text: str) -> None:
    """The reason says where to look, and repeats nothing of it."""
    with pytest.raises(NoLogins) as refused:
        logins(text)
    assert "s3cret" not in str(refused.value)


def test_a_password_is_not_shown() -> None:
    """Not even by accident."""
    assert "s3cret" not in repr(Login("ci", "s3cret"))
