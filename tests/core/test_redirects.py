"""Where redirects lead."""

from __future__ import annotations

import pytest

from agent.core.redirects import NowhereToGo, may_be_told, redirected

URL = "http://web:8080/a/b?c"


@pytest.mark.parametrize(
    ("location", "goal"),
    [
        ("/login", "http://web:8080/login"),
        ("login", "http://web:8080/a/login"),
        ("?d", "http://web:8080/a/b?d"),
        ("//other/x", "http://other/x"),
        ("https://web", "https://web/"),
        ("https://me:pass@web/#top", "https://web/"),
    ],
)
def test_where_a_location_leads(location: str, goal: str) -> None:
    """It may be relative; credentials and fragments are not taken along."""
    assert redirected("GET", URL, 302, location) == ("GET", goal)


@pytest.mark.parametrize(
    ("method", "status_code", "then"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("HEAD", 302, "HEAD"),
        ("HEAD", 303, "HEAD"),
        ("GET", 307, "GET"),
    ],
)
def test_what_is_asked_there(method: str, status_code: int, then: str) -> None:
    """As browsers do it: a form that was sent is not sent again unless the server insists."""
    assert redirected(method, URL, status_code, "/") == (then, "http://web:8080/")


@pytest.mark.parametrize(
    ("status_code", "location"), [(200, "/"), (300, "/"), (304, "/"), (404, "/"), (302, "")]
)
def test_what_is_no_redirect(status_code: int, location: str) -> None:
    """Another status, or nowhere to go."""
    assert redirected("GET", URL, status_code, location) is None


@pytest.mark.parametrize("location", ["ftp://web/", "https://", "http://web:x/", "http://[", "a:b"])
def test_what_leads_nowhere(location: str) -> None:
    """Only HTTP is followed."""
    with pytest.raises(NowhereToGo):
        redirected("GET", URL, 302, location)


@pytest.mark.parametrize(
    ("origin", "goal", "may"),
    [
        ("http://web/", "http://web/login", True),
        ("http://web:8080/", "https://web:8443/", True),
        ("http://web/", "http://WEB/", True),
        ("https://web/", "http://web/", False),
        ("http://web/", "http://www.web/", False),
        ("http://web/", "http://other/", False),
    ],
)
def test_where_credentials_go(origin: str, goal: str, may: bool) -> None:
    """To the same host only, and not in plain view after they were encrypted."""
    assert may_be_told(origin, goal) is may
