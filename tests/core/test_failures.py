"""Failures and refusals as an operator reads them."""

from __future__ import annotations

from agent.core.failures import Failure, FailureKind, Refusal


def test_a_failure_says_where_to_look_what_was_seen_and_what_to_do() -> None:
    """In one line; where waiting is all there is to do, no advice is made up."""
    failure = Failure(FailureKind.TLS, "self-signed certificate", "set INSECURE_SKIP_VERIFY")
    assert str(failure) == "TLS: self-signed certificate (set INSECURE_SKIP_VERIFY)"
    assert str(Failure(FailureKind.LOST, "the connection broke")) == "lost: the connection broke"


def test_a_refusal_is_told_in_the_servers_words() -> None:
    """With our advice after them."""
    refusal = Refusal("Registration token has expired", permanent=True, advice="create another")
    assert str(refusal) == "Registration token has expired (create another)"
    assert str(Refusal("Authentication timeout", permanent=False)) == "Authentication timeout"
