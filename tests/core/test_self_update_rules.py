"""Which releases are taken, and which are not."""

from __future__ import annotations

import pytest

from agent.core.image_reference import ImageReference, InvalidReference
from agent.core.self_update_rules import (
    bad_download,
    foreign,
    full_release,
    repositories,
    repositories_of,
    wrong_platform,
    wrong_version,
)

OURS = ("registry.test/team/agent", "docker.io/me/agent")


def test_the_allow_list_as_an_operator_writes_it() -> None:
    """In full, each once; blanks and a last comma are nothing."""
    assert repositories(" me/agent, registry.test:5000/a ,docker.io/me/agent,") == (
        "docker.io/me/agent",
        "registry.test:5000/a",
    )
    assert repositories("") == ()


@pytest.mark.parametrize(
    "text", ["me/agent:3", "me/agent:latest", "me/agent@sha256:" + "0" * 64, "me/Agent"]
)
def test_an_allow_list_that_names_more_than_repositories(text: str) -> None:
    """A tag in it would look like a limit and be none."""
    with pytest.raises(InvalidReference):
        repositories(text)


@pytest.mark.parametrize(
    ("image", "is_ours"),
    [
        ("registry.test/team/agent:3.1.0", True),
        ("registry.test/team/agent@sha256:" + "1" * 64, True),
        ("me/agent", True),
        ("index.docker.io/me/agent:1", True),
        ("ghcr.io/darthnorse/dockmon-agent:2.4.5", False),
        ("registry.test/team/agent2:3.1.0", False),
        ("registry.test/team:3.1.0", False),
        ("registry.test:443/team/agent:3.1.0", False),
        ("agent:3", False),
    ],
)
def test_whose_image_it_is(image: str, is_ours: bool) -> None:
    """A name is compared as a whole: nothing that only begins or ends like ours passes."""
    why = foreign(ImageReference.parse(image), OURS)
    assert (why == "") is is_ours
    assert is_ours or "UPDATE_REPOSITORIES" in why


@pytest.mark.parametrize(
    ("image", "tags", "digests", "found"),
    [
        ("me/agent:3", [], [], ("docker.io/me/agent",)),
        ("me/agent:3", ["other/agent:3"], [], ("docker.io/me/agent",)),
        (
            "sha256:" + "0" * 64,
            ["r.test/agent:3"],
            ["r.test/agent@sha256:" + "1" * 64],
            ("r.test/agent",),
        ),
        ("sha256:" + "0" * 64, [], [], ()),
    ],
)
def test_where_the_running_image_comes_from(
    image: str, tags: list[str], digests: list[str], found: tuple[str, ...]
) -> None:
    """As the container was created; only for one created from an ID the engine's own names count."""
    assert repositories_of(image, tags, digests) == found


@pytest.mark.parametrize(
    ("version", "exact"),
    [
        *(("3.1.0", "3.1.0"), ("v3.1.0", "3.1.0"), ("3.1.0rc1", "3.1.0rc1")),
        *(("3.1.0-beta.2", "3.1.0-beta.2"), ("3.1", ""), ("3", ""), ("latest", "")),
        *(("", ""), ("3.1.0-slim", ""), ("sha-1a2b3c", "")),
    ],
)
def test_which_tag_is_a_version(version: str, exact: str) -> None:
    """One that names a single release, and no variant of an image."""
    assert full_release(version) == exact


@pytest.mark.parametrize(
    ("asked", "found", "is_right"),
    [
        *(("3.1.0", "3.1.0", True), ("v3.1.0", "3.1.0", True), ("3.1.0", "v3.1.0", True)),
        *(("latest", "3.1.0", True), ("", "3.1.0", True), ("3.1", "3.0.9", True)),
        *(("3.1.0", "3.0.9", False), ("latest", "", False), ("3.1.0", "", False)),
    ],
)
def test_the_version_that_was_asked_for(asked: str, found: str, is_right: bool) -> None:
    """The label decides, unless an exact one was asked for: then both have to say the same."""
    assert (wrong_version(asked, found) == "") is is_right


@pytest.mark.parametrize(
    ("image", "here", "is_right"),
    [
        ({"Os": "linux", "Architecture": "amd64"}, "linux/amd64", True),
        ({"Os": "linux", "Architecture": "arm", "Variant": "v7"}, "linux/arm/v7", True),
        ({"Os": "linux", "Architecture": "arm64", "Variant": "v8"}, "linux/arm64", True),
        ({"Os": "linux", "Architecture": "arm64"}, "linux/amd64", False),
        ({"Os": "windows", "Architecture": "amd64"}, "linux/amd64", False),
        ({}, "linux/amd64", False),
    ],
)
def test_the_platform(image: dict[str, str], here: str, is_right: bool) -> None:
    """Compared before anything of the image is looked at."""
    assert (wrong_platform(image, here) == "") is is_right


SUM = "ab" * 32


@pytest.mark.parametrize(
    ("url", "checksum", "why"),
    [
        ("https://example.com/agent.pyz", SUM, ""),
        ("http://example.com/agent.pyz", SUM, "not https"),
        ("https://u:p@example.com/agent.pyz", SUM, "password"),
        ("https:///agent.pyz", SUM, "no address"),
        ("https://[", SUM, "no address"),
        ("agent.pyz", SUM, "no address"),
        ("https://example.com/agent.pyz", "", "checksum is missing"),
        ("https://example.com/agent.pyz", "abc", "checksum is missing"),
    ],
)
def test_a_download(url: str, checksum: str, why: str) -> None:
    """Only what nobody on the way can change."""
    assert why in bad_download(url, checksum)
    assert bool(why) is bool(bad_download(url, checksum))
