"""Where an HTTP redirect leads, and what may be told there."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit, urlunsplit


class NowhereToGo(Exception):
    """The redirect names no HTTP URL."""


def redirected(method: str, url: str, status_code: int, location: str) -> tuple[str, str] | None:
    """The (method, URL) to go on with, or None if this answer is no redirect.

    Args:
        location: The answer's `Location` header, "" without one. Credentials in it are dropped: nobody configured them.

    Raises:
        NowhereToGo: `location` leads nowhere.
    """
    if status_code not in (301, 302, 303, 307, 308) or not location:
        return None
    try:
        parts = urlsplit(urljoin(url, location))
        _ = parts.port  # raises when it is none
    except ValueError:
        raise NowhereToGo from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NowhereToGo
    host = parts.netloc.rpartition("@")[2]
    goal = urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
    becomes_get = status_code == 303 or (status_code in (301, 302) and method == "POST")
    return ("GET" if becomes_get and method != "HEAD" else method), goal


def may_be_told(origin: str, goal: str) -> bool:
    """Whether credentials for the URL `origin` may be sent to `goal`: to the same host, but never unencrypted what was
    encrypted before."""
    before, after = urlsplit(origin), urlsplit(goal)
    is_downgrade = before.scheme == "https" and after.scheme == "http"
    return before.hostname == after.hostname and not is_downgrade
