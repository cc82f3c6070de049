"""A container that a job works on is left alone until the job is done."""

from __future__ import annotations

import pytest

from agent.features.claims import Claims
from agent.ports import CommandFailed

WEB, DB = "a1" * 32, "d0" * 32


def is_claimed(claims: Claims, container: str) -> bool:
    try:
        claims.check(container)
    except CommandFailed:
        return True
    return False


@pytest.mark.parametrize("reference", [WEB, WEB[:12], WEB[:20], "web"])
def test_a_claimed_container(reference: str) -> None:
    """However it is named, the reason is told."""
    claims = Claims()
    claims.hold("job-1", [WEB, "web"], "web is being updated")
    with pytest.raises(CommandFailed, match=r"^web is being updated$"):
        claims.check(reference)


@pytest.mark.parametrize("reference", [DB, "db", "web-2", "a1a1a1a1a1a2"])
def test_any_other_container(reference: str) -> None:
    """What only looks alike is free."""
    claims = Claims()
    claims.hold("job-1", [WEB, "web"], "web is being updated")
    assert not is_claimed(claims, reference)


def test_a_claim_that_changes() -> None:
    """A job says anew what it works on; what it no longer names is free."""
    claims = Claims()
    claims.hold("job-1", [WEB], "-")
    claims.hold("job-1", [DB], "-")
    assert (is_claimed(claims, WEB), is_claimed(claims, DB)) == (False, True)


@pytest.mark.parametrize("reference", [WEB[:12], "web"])
def test_what_another_job_has(reference: str) -> None:
    """It is not shared, and the one who asked keeps what it had."""
    claims = Claims()
    claims.hold("job-1", [WEB, "web"], "web is being updated")
    claims.hold("job-2", [DB], "db is being updated")
    with pytest.raises(CommandFailed, match=r"^web is being updated$"):
        claims.hold("job-2", [DB, reference], "-")
    with pytest.raises(CommandFailed, match=r"^db is being updated$"):
        claims.check(DB)


def test_a_job_releases_only_its_own() -> None:
    """Others go on; releasing twice does no harm."""
    claims = Claims()
    claims.hold("job-1", [WEB], "-")
    claims.hold("job-2", [DB], "-")
    claims.release("job-1")
    claims.release("job-1")
    assert (is_claimed(claims, WEB), is_claimed(claims, DB)) == (False, True)
