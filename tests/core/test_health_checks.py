"""A health check's configuration, read: what is missing has a default, what cannot be carried out has a reason."""

from __future__ import annotations

import base64
import contextlib
import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.health_checks import (
    HealthCheck,
    InvalidCheck,
    container_id,
    health_check,
    status_ranges,
)

ID = "9ab3c1d2e4f5"


def config(**changed: Any) -> dict[str, Any]:
    """As the server sends it."""
    return {
        "container_id": ID,
        "host_id": "e3b9",
        "enabled": True,
        "url": "http://10.0.0.5:8080/health",
        "method": "GET",
        "expected_status_codes": "200-299",
        "timeout_seconds": 15,
        "check_interval_seconds": 30,
        "follow_redirects": False,
        "verify_ssl": False,
        "headers_json": None,
        "auth_config_json": None,
    } | changed


def basic(pair: str) -> tuple[str, str]:
    return ("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")


def test_a_whole_configuration() -> None:
    """Every key has its place."""
    assert health_check(config(headers_json='{"X-Key": " k "}')) == HealthCheck(
        container_id=ID,
        host_id="e3b9",
        is_enabled=True,
        url="http://10.0.0.5:8080/health",
        method="GET",
        headers=(("X-Key", "k"),),
        expected=((200, 299),),
        timeout_s=15,
        interval_s=30,
        follow_redirects=False,
        verify_tls=False,
    )


@pytest.mark.parametrize("missing", [None, ...])
def test_what_is_missing_has_a_default(missing: object) -> None:
    """A key that is null is as good as one that is not there."""
    bare = {key: None for key in config() if missing is None}
    assert health_check(bare | {"container_id": ID, "url": "https://web"}) == HealthCheck(
        container_id=ID,
        host_id="",
        is_enabled=True,
        url="https://web/",
        method="GET",
        headers=(),
        expected=((200, 200),),
        timeout_s=10,
        interval_s=60,
        follow_redirects=True,
        verify_tls=True,
    )


@pytest.mark.parametrize(
    ("key", "given_value", "field", "value"),
    [
        ("timeout_seconds", 0, "timeout_s", 5),
        ("timeout_seconds", 61, "timeout_s", 60),
        ("check_interval_seconds", 0, "interval_s", 10),
        ("check_interval_seconds", -5, "interval_s", 10),
        ("check_interval_seconds", 99_999, "interval_s", 3600),
        ("method", "head", "method", "HEAD"),
        ("enabled", False, "is_enabled", False),
        ("container_id", ID + "0" * 52, "container_id", ID),
        ("url", " https://web:8443/a?b=c#d ", "url", "https://web:8443/a?b=c"),
        ("url", "http://[::1]:80", "url", "http://[::1]:80/"),
        ("url", "http://me:pass@web/", "url", "http://web/"),
        ("a_key_of_a_newer_server", 1, "host_id", "e3b9"),
    ],
)
def test_values_are_brought_into_shape(
    key: str, given_value: object, field: str, value: object
) -> None:
    """Numbers are clamped, IDs cut, URLs freed of what is not sent."""
    assert getattr(health_check(config(**{key: given_value})), field) == value


@pytest.mark.parametrize(
    ("changed", "headers"),
    [
        ({"url": "http://me:pa%40ss@web/"}, (basic("me:pa@ss"),)),
        ({"url": "http://me@web/"}, (basic("me:"),)),
        (
            {"auth_config_json": '{"type":"basic","username":"me","password":"pä:ss"}'},
            (basic("me:pä:ss"),),
        ),
        (
            {"auth_config_json": '{"type":"bearer","token":"t0k"}'},
            (("Authorization", "Bearer t0k"),),
        ),
        ({"auth_config_json": '{"type":"none"}'}, ()),
        ({"auth_config_json": '{"type":""}'}, ()),
        ({"auth_config_json": "null"}, ()),
        ({"auth_config_json": "{}"}, ()),
        ({"headers_json": ""}, ()),
        (
            {
                "url": "http://url:url@web/",
                "auth_config_json": '{"type":"bearer","token":"t"}',
                "headers_json": '{"A":"1","authorization":"mine"}',
            },
            (("A", "1"), ("Authorization", "Bearer t")),
        ),
    ],
)
def test_credentials_become_headers(
    changed: dict[str, Any], headers: tuple[tuple[str, str], ...]
) -> None:
    """Those that were configured as such come before the URL's, and both before a header of that name."""
    assert health_check(config(**changed)).headers == headers


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"container_id": "web"}, "container_id: must be a container ID"),
        ({"container_id": None}, "container_id: Field required"),
        ({"container_id": 7}, "container_id: Input should be a valid string"),
        ({"url": None}, "url: Field required"),
        ({"url": "ftp://web/"}, "url: must begin with http:// or https://"),
        ({"url": "web:80"}, "url: must begin with http:// or https://"),
        ({"url": "http://"}, "url: must name a host"),
        ({"url": "http://a b/"}, "url: must name a host"),
        ({"url": "http://web:port/"}, "url: cannot be read"),
        ({"url": "http://[::1/"}, "url: cannot be read"),
        ({"method": "DELETE"}, "method: Input should be 'GET', 'POST' or 'HEAD'"),
        ({"timeout_seconds": "soon"}, "timeout_seconds: Input should be a valid integer"),
        ({"headers_json": "{"}, "headers_json: not JSON"),
        ({"headers_json": "[" * 9000}, "headers_json: not JSON"),
        ({"headers_json": "[1]"}, "headers_json: must be a JSON object"),
        ({"headers_json": '{"A":1}'}, "headers_json: a value must be a text of one line"),
        ({"headers_json": '{"A":"1\\r\\nB: 2"}'}, "headers_json: a value must be a text"),
        ({"headers_json": '{"A:":"1"}'}, "headers_json: a name that no header can have"),
        ({"auth_config_json": '{"type":"digest"}'}, "auth_config_json: must be basic with"),
        ({"auth_config_json": '{"type":"basic"}'}, "auth_config_json: must be basic with"),
        ({"auth_config_json": '{"type":7}'}, "auth_config_json: must be basic with"),
        (
            {"auth_config_json": '{"type":"bearer","token":"a\\nb"}'},
            "auth_config_json: must be basic with",
        ),
    ],
)
def test_what_cannot_be_carried_out_is_refused(changed: dict[str, Any], reason: str) -> None:
    """The reason names the key."""
    with pytest.raises(InvalidCheck) as refused:
        health_check(config(**changed))
    assert str(refused.value).startswith(reason)


@pytest.mark.parametrize("config", [None, [], "x", 7])
def test_what_is_no_configuration_is_refused(config: object) -> None:
    """Whatever stands in the list."""
    with pytest.raises(InvalidCheck, match=r"^configuration: "):
        health_check(config)


def test_secrets_are_not_shown() -> None:
    """Neither by a check, which may be logged, nor by a refusal, which is."""
    secret = "s3cr3t"
    auth = json.dumps({"type": "basic", "username": "me", "password": secret})
    check = health_check(
        config(
            url=f"http://web/{secret}?key={secret}",
            headers_json=json.dumps({"X-Key": secret}),
            auth_config_json=auth,
        )
    )
    assert secret not in repr(check)
    assert basic(f"me:{secret}")[1] not in repr(check)
    for key in ("url", "method", "headers_json", "auth_config_json", "timeout_seconds"):
        with pytest.raises(InvalidCheck) as refused:
            health_check(config(**{key: f"{secret}://{secret}:{secret}@"}))
        assert secret not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("200", ((200, 200),)),
        ("200-299,301", ((200, 299), (301, 301))),
        (" 200 , 204 - 206 ", ((200, 200), (204, 206))),
        ("", ((200, 200),)),
        ("ok", ((200, 200),)),
        ("ok,404", ((404, 404),)),
        ("299-200", ((200, 200),)),
        ("2000", ((200, 200),)),
        ("200-", ((200, 200),)),
        ("٢٠٠", ((200, 200),)),
    ],
)
def test_status_lists(text: str, ranges: tuple[tuple[int, int], ...]) -> None:
    """Ranges are inclusive; what cannot be read is left out, and 200 is what is left of nothing."""
    assert status_ranges(text) == ranges


@pytest.mark.parametrize(
    ("value", "cut"),
    [
        (ID, ID),
        (ID + "a" * 52, ID),
        (ID[:11], None),
        (ID + "a" * 53, None),
        (ID.upper(), None),
        (None, None),
        (7, None),
    ],
)
def test_container_ids(value: object, cut: str | None) -> None:
    """12 to 64 hexadecimal digits, cut to 12."""
    assert container_id(value) == cut


SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(config())), SOME_JSON))
def test_any_configuration_is_read_or_refused(changed: dict[str, Any]) -> None:
    """Nothing else is raised, whatever the server sends."""
    try:
        check = health_check(config(**changed))
    except InvalidCheck:
        return
    assert 5 <= check.timeout_s <= 60
    assert 10 <= check.interval_s <= 3600
    assert check.expected


@given(st.text(), st.text(), st.text())
def test_any_text_is_read_or_refused(url: str, headers_json: str, auth_config_json: str) -> None:
    """Nothing else is raised, whatever the user typed."""
    changed = {"headers_json": headers_json, "auth_config_json": auth_config_json}
    for attempt in (url, f"http://{url}", f"https://web/{url}"):
        with contextlib.suppress(InvalidCheck):
            assert health_check(config(url=attempt, **changed)).url.startswith("http")
