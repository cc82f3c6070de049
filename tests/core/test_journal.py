"""Container events: which count, what they imply, and what must have happened unseen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.journal import (
    FILTERS,
    MAX_ATTRIBUTES_CHARS,
    REPORTED,
    Known,
    Row,
    Seen,
    adopted,
    differing,
    implied,
    inferred,
    looked_at,
    parse_instant,
    renamed,
    row,
    snapshot,
)
from agent.core.rfc3339 import rfc3339

WEB = "a" * 64
DB = "b" * 64
AT_NS = 1_767_225_600_123_456_789
AT = "2026-01-01T00:00:00.123456789Z"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NEVER = "0001-01-01T00:00:00Z"  # how the engine says that something has not happened yet


def engine_event(action: str = "start", **also: Any) -> dict[str, Any]:
    """As the engine sends it, its legacy keys included."""
    return {
        "status": action,
        "id": WEB,
        "from": "nginx:1.27",
        "Type": "container",
        "Action": action,
        "Actor": {"ID": WEB, "Attributes": {"name": "web", "image": "nginx:1.27", **also}},
        "scope": "local",
        "time": AT_NS // 10**9,
        "timeNano": AT_NS,
    }


def a_row(action: str, container_id: str = WEB, at: str = AT, name: str = "web") -> Row:
    payload = {
        "container_id": container_id,
        "container_name": name,
        "image": "nginx:1.27",
        "action": action,
        "timestamp": at,
        "attributes": {},
    }
    return Row(f"{at}:{action}:{container_id}", payload)


# Which count


@pytest.mark.parametrize(
    ("action", "counts"),
    [
        ("start", True),
        ("restart", True),
        ("die", True),
        ("destroy", True),
        ("create", False),
        ("stop", False),
        ("kill", False),
        ("pause", False),
        ("unpause", False),
        ("rename", False),
        ("update", False),
        ("oom", False),
        ("attach", False),
        ("health_status: unhealthy", False),
        ("exec_create: curl -f localhost", False),
        ("exec_start: curl -f localhost", False),
        ("exec_die", False),
        ("START", False),
        ("", False),
    ],
)
def test_which_events_are_reported(action: str, counts: bool) -> None:
    """Those the server does something with; the rest is noise to it."""
    assert (row(engine_event(action)) is not None) is counts


def test_what_an_event_becomes() -> None:
    """The wire's payload, to the engine's nanosecond, under a key that is the same each time it is met."""
    observed = row(engine_event("die", exitCode="137"))
    assert observed is not None
    assert observed == Row(
        key=f"{AT_NS}:die:{WEB}",
        payload={
            "container_id": WEB,
            "container_name": "web",
            "image": "nginx:1.27",
            "action": "die",
            "timestamp": AT,
            "attributes": {"name": "web", "image": "nginx:1.27", "exitCode": "137"},
        },
    )
    assert (observed.kind, observed.subject, observed.inferred) == ("container_event", WEB, False)
    assert row(engine_event("die", exitCode="137")) == observed


@pytest.mark.parametrize(
    "odd",
    [
        {"Type": "image"},
        {"Type": "network"},
        {"Type": None},
        {"Action": None},
        {"timeNano": None},
        {"timeNano": "1767225600123456789"},
        {"timeNano": -1},
        {"timeNano": 2**63},
        {"timeNano": 10**40},
        {"Actor": None},
        {"Actor": {}},
        {"Actor": {"ID": None, "Attributes": {}}},
        {"Actor": {"ID": "short", "Attributes": {}}},
        {"Actor": {"ID": WEB, "Attributes": None}},
    ],
    ids=str,
)
def test_what_is_not_a_container_event_is_passed_over(odd: dict[str, Any]) -> None:
    """One odd event must not end the stream, or keep ending it for as long as the engine's ring holds it."""
    assert row(engine_event() | odd) is None
    assert row({}) is None


def test_an_event_without_a_name_is_still_one() -> None:
    """A container that is gone may be reported without its attributes."""
    observed = row(engine_event() | {"Actor": {"ID": WEB, "Attributes": {}}})
    assert observed is not None
    assert (observed.payload["container_name"], observed.payload["image"]) == ("", "")


def test_attributes_are_texts() -> None:
    """The server reads a map of texts; an engine that is not Docker may send numbers."""
    observed = row(engine_event("die", exitCode=0))
    assert observed is not None
    assert observed.payload["attributes"]["exitCode"] == "0"


def test_labels_cannot_swell_an_event() -> None:
    """Attributes repeat all labels. Beyond the bound only what the server reads is kept, and of that a beginning."""
    label = "x" * (MAX_ATTRIBUTES_CHARS - len("namewebimagenginx:1.27label"))
    whole = row(engine_event("die", label=label))
    assert whole is not None
    assert whole.payload["attributes"]["label"] == label
    cut = row(engine_event("die", label=label + "x", exitCode="1", signal="9" * 5000))
    assert cut is not None
    assert cut.payload["attributes"] == {
        "name": "web",
        "image": "nginx:1.27",
        "exitCode": "1",
        "signal": "9" * 1024,
    }


def test_the_stream_is_asked_for_all_that_is_used() -> None:
    """What is reported, and the renames that change what is known."""
    assert set(FILTERS["event"]) >= REPORTED
    assert "rename" in FILTERS["event"]
    assert "container" in FILTERS["type"]


# What they imply

RUNNING = Known("web", "nginx:1.27", True, AT)
STOPPED = Known("web", "nginx:1.27", False, AT)
LATER = "2026-01-01T00:00:05.000000000Z"


@pytest.mark.parametrize(
    ("rows", "known", "expected"),
    [
        pytest.param([], {WEB: RUNNING}, {}, id="nothing"),
        pytest.param([a_row("start")], {}, {WEB: RUNNING}, id="started"),
        pytest.param([a_row("restart")], {WEB: STOPPED}, {WEB: RUNNING}, id="restarted"),
        pytest.param(
            [a_row("die", at=LATER)], {WEB: RUNNING}, {WEB: STOPPED}, id="died: its start is kept"
        ),
        pytest.param(
            [a_row("die")],
            {},
            {WEB: Known("web", "nginx:1.27", False)},
            id="died, and nobody knew it",
        ),
        pytest.param([a_row("destroy")], {WEB: STOPPED}, {WEB: None}, id="gone"),
        pytest.param([a_row("destroy")], {}, {WEB: None}, id="gone, and nobody knew it"),
        pytest.param(
            [a_row("start"), a_row("die", at=LATER)], {}, {WEB: STOPPED}, id="the last word counts"
        ),
        pytest.param(
            [a_row("destroy"), a_row("die")],
            {WEB: RUNNING},
            {WEB: Known("web", "nginx:1.27", False)},
            id="nothing is known of one that was destroyed",
        ),
        pytest.param(
            [a_row("start", DB, name="db"), a_row("die")],
            {WEB: RUNNING},
            {DB: Known("db", "nginx:1.27", True, AT), WEB: STOPPED},
            id="each container for itself",
        ),
        pytest.param(
            [a_row("start", name="new name")],
            {WEB: STOPPED},
            {WEB: Known("new name", "nginx:1.27", True, AT)},
            id="the name is the event's",
        ),
    ],
)
def test_what_rows_imply(
    rows: list[Row], known: dict[str, Known], expected: dict[str, Known | None]
) -> None:
    """Net states of those that changed, and only of those."""
    assert implied(rows, known) == expected


@pytest.mark.parametrize(
    ("event", "known", "expected"),
    [
        pytest.param(
            engine_event("rename", name="new", oldName="/web"),
            {WEB: RUNNING},
            {WEB: Known("new", "nginx:1.27", True, AT)},
            id="renamed",
        ),
        pytest.param(engine_event("rename", name="new"), {}, {}, id="one that is not known"),
        pytest.param(engine_event("rename", name=""), {WEB: RUNNING}, {}, id="to nothing"),
        pytest.param(engine_event("start"), {WEB: RUNNING}, {}, id="another event"),
        pytest.param(
            engine_event("rename") | {"Type": "volume"}, {WEB: RUNNING}, {}, id="another thing"
        ),
        pytest.param({}, {WEB: RUNNING}, {}, id="no event"),
    ],
)
def test_a_rename_changes_what_is_known(
    event: dict[str, Any], known: dict[str, Known], expected: dict[str, Known | None]
) -> None:
    """It is not reported, but the next event inferred of the container carries the new name."""
    assert renamed(event, known) == expected


# What the engine shows


def listed(container_id: str = WEB, **also: Any) -> dict[str, Any]:
    return {
        "Id": container_id,
        "Names": ["/web"],
        "Image": "nginx:1.27",
        "State": "running",
        "Status": "Up 2 hours",
        **also,
    }


@pytest.mark.parametrize(
    ("state", "running"),
    [
        ("running", True),
        ("paused", True),
        ("restarting", False),
        ("created", False),
        ("exited", False),
        ("removing", False),
        ("dead", False),
        ("", False),
    ],
)
def test_which_states_are_running(state: str, running: bool) -> None:
    """A paused container has started and not died; one between two attempts has died."""
    assert snapshot([listed(State=state)]) == {WEB: Seen("web", "nginx:1.27", running)}


@pytest.mark.parametrize(
    ("also", "expected"),
    [
        ({"Names": None}, Seen("", "nginx:1.27", True)),
        ({"Names": []}, Seen("", "nginx:1.27", True)),
        ({"Names": ["web"]}, Seen("web", "nginx:1.27", True)),
        ({"Image": None}, Seen("web", "", True)),
        ({"State": None}, Seen("web", "nginx:1.27", False)),
    ],
    ids=str,
)
def test_a_list_entry_with_gaps(also: dict[str, Any], expected: Seen) -> None:
    """A container that is being removed may lack its name; it is still there."""
    assert snapshot([listed(**also)]) == {WEB: expected}


@pytest.mark.parametrize("container_id", [None, "", "a" * 12, "a" * 65])
def test_an_entry_without_an_id_is_no_container(container_id: Any) -> None:
    """Everything is compared by the whole ID."""
    assert snapshot([listed(container_id), listed(DB)]).keys() == {DB}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(
            {
                "Running": True,
                "Restarting": False,
                "StartedAt": AT,
                "FinishedAt": NEVER,
                "ExitCode": 0,
            },
            Seen("web", "nginx:1.27", True, AT, NEVER, 0),
            id="running",
        ),
        pytest.param(
            {
                "Running": True,
                "Restarting": True,
                "StartedAt": AT,
                "FinishedAt": LATER,
                "ExitCode": 1,
            },
            Seen("web", "nginx:1.27", False, AT, LATER, 1),
            id="between two attempts",
        ),
        pytest.param(
            {"Running": False, "StartedAt": AT, "FinishedAt": LATER, "ExitCode": 137},
            Seen("web", "nginx:1.27", False, AT, LATER, 137),
            id="exited",
        ),
        pytest.param({"Running": True}, Seen("web", "nginx:1.27", True), id="no more is told"),
    ],
)
def test_what_an_inspect_adds(state: dict[str, Any], expected: Seen) -> None:
    """When it started, when it ended and how; whether it runs is the newer look's word."""
    assert looked_at(Seen("web", "nginx:1.27", True), {"State": state}) == expected


# What must have happened unseen

MISSED = [
    pytest.param(None, Seen("web", "i", True), ["start"], id="a new one runs"),
    pytest.param(None, Seen("web", "i", False), [], id="a new one does not run"),
    pytest.param(STOPPED, Seen("web", "i", True), ["start"], id="started"),
    pytest.param(RUNNING, Seen("web", "i", False), ["die"], id="died"),
    pytest.param(RUNNING, Seen("web", "i", True), [], id="still runs"),
    pytest.param(STOPPED, Seen("web", "i", False, AT, LATER, 0), [], id="still does not run"),
    pytest.param(RUNNING, None, ["die", "destroy"], id="removed while it ran"),
    pytest.param(STOPPED, None, ["destroy"], id="removed"),
    pytest.param(RUNNING, Seen("web", "i", True, LATER, LATER), ["die", "start"], id="restarted"),
    pytest.param(RUNNING, Seen("web", "i", True, AT), [], id="started when it was reported"),
    pytest.param(
        RUNNING, Seen("web", "i", True, "2025-12-31T23:59:59Z"), [], id="started before that"
    ),
    pytest.param(RUNNING, Seen("web", "i", True, NEVER), [], id="its start is not known"),
    pytest.param(Known("web", "i", True), Seen("web", "i", True, AT), [], id="nor was it reported"),
    pytest.param(None, None, [], id="never there"),
]


@pytest.mark.parametrize(("before", "after", "actions"), MISSED)
def test_what_was_missed(before: Known | None, after: Seen | None, actions: list[str]) -> None:
    """The shortest story that leads from what is known to what is seen."""
    known = {} if before is None else {WEB: before}
    seen = {} if after is None else {WEB: after}
    assert differing(known, seen) == ({WEB} if actions else set())
    rows = inferred(known, seen, differing(known, seen), NOW)
    assert [row.payload["action"] for row in rows] == actions
    assert all(row.inferred for row in rows)


def told(before: Known | None, after: Seen | None) -> list[tuple[str, str, str | None]]:
    """(action, timestamp, exit code) of what is inferred."""
    known = {} if before is None else {WEB: before}
    seen = {} if after is None else {WEB: after}
    return [
        (
            row.payload["action"],
            row.payload["timestamp"],
            row.payload["attributes"].get("exitCode"),
        )
        for row in inferred(known, seen, [WEB], NOW)
    ]


def test_what_was_missed_happened_when_the_engine_says() -> None:
    """Start and end as an inspect tells them, with the exit code the server classes a death by."""
    assert told(STOPPED, Seen("web", "i", True, LATER)) == [("start", LATER, None)]
    assert told(RUNNING, Seen("web", "i", False, AT, LATER, 137)) == [("die", LATER, "137")]
    assert told(RUNNING, Seen("web", "i", False, AT, LATER, 0)) == [("die", LATER, "0")]


def test_a_restart_has_no_exit_code() -> None:
    """The engine keeps the last run's only, and of the present one there is none yet."""
    restarted = Seen("web", "i", True, "2026-01-01T00:00:06Z", LATER, 0)
    assert told(RUNNING, restarted) == [
        ("die", LATER, None),
        ("start", "2026-01-01T00:00:06Z", None),
    ]


@pytest.mark.parametrize("unknown", ["", NEVER, "yesterday"])
def test_what_has_no_time_of_its_own_happened_now(unknown: str) -> None:
    """Nobody is told that a container stopped in the year 1."""
    now = rfc3339(NOW)
    assert told(STOPPED, Seen("web", "i", True, unknown)) == [("start", now, None)]
    assert told(RUNNING, Seen("web", "i", False, AT, unknown)) == [("die", now, None)]
    assert told(RUNNING, None) == [("die", now, None), ("destroy", now, None)]


def test_what_is_inferred_looks_like_what_is_observed() -> None:
    """The server cannot tell them apart; that it was inferred stays in our own records."""
    (die,) = inferred({WEB: RUNNING}, {WEB: Seen("new", "i", False, AT, LATER, 1)}, [WEB], NOW)
    assert die == Row(
        key=f"{LATER}:die:{WEB}",
        payload={
            "container_id": WEB,
            "container_name": "new",
            "image": "i",
            "action": "die",
            "timestamp": LATER,
            "attributes": {"name": "new", "image": "i", "exitCode": "1"},
        },
        inferred=True,
    )


def test_only_what_was_asked_for_is_inferred() -> None:
    """A difference that one look shows may be gone in the next; the caller says which stayed."""
    known = {WEB: RUNNING, DB: RUNNING}
    assert [row.subject for row in inferred(known, {}, [DB], NOW)] == [DB, DB]


def test_at_the_very_first_start_what_is_there_is_how_it_starts() -> None:
    """Nothing is inferred of it, not even when an inspect later tells when it had started."""
    seen = {WEB: Seen("web", "i", True), DB: Seen("db", "i", False)}
    known = adopted(seen, NOW)
    assert known == {
        WEB: Known("web", "i", True, rfc3339(NOW)),
        DB: Known("db", "i", False),
    }
    looked = {WEB: Seen("web", "i", True, AT, NEVER, 0), DB: Seen("db", "i", False, AT, LATER, 1)}
    assert differing(present(known), looked) == set()


# Instants


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        (AT, datetime(2026, 1, 1, 0, 0, 0, 123456, UTC)),
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T02:00:00.5+02:00", datetime(2026, 1, 1, 0, 0, 0, 500_000, UTC)),
        ("2026-01-01T00:00:00.1234567899-01:00", datetime(2026, 1, 1, 1, 0, 0, 123456, UTC)),
        (NEVER, None),
        ("0001-01-01T00:00:00.5+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2026-01-01T00:00:00", None),
        ("2026-13-01T00:00:00Z", None),
        ("yesterday", None),
        (".", None),
        ("", None),
    ],
)
def test_instants_as_engines_write_them(text: str, instant: datetime | None) -> None:
    """Nine digits or none, any offset, cut to the microsecond; "never" and nonsense are no instant."""
    assert parse_instant(text) == instant


@given(text=st.text("0123456789-:.TZ+", max_size=40) | st.text())
def test_any_text_is_an_instant_or_none(text: str) -> None:
    """No text of an engine can stop the comparison."""
    instant = parse_instant(text)
    assert instant is None or instant.utcoffset() == timedelta(0)


# Properties

IDS = st.sampled_from([WEB, DB, "c" * 64])
INSTANTS = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001  made aware by `timezones`
    datetime(2026, 1, 2),  # noqa: DTZ001  made aware by `timezones`
    timezones=st.just(UTC),
).map(rfc3339)
ODD_INSTANTS = INSTANTS | st.sampled_from(["", NEVER, "yesterday"])
KNOWN = st.dictionaries(
    IDS, st.builds(Known, st.text(), st.text(), st.booleans(), INSTANTS | st.just(""))
)
SEEN_LISTED = st.dictionaries(IDS, st.builds(Seen, st.text(), st.text(), st.booleans()))
SEEN_INSPECTED = st.dictionaries(
    IDS,
    st.builds(
        Seen,
        st.text(),
        st.text(),
        st.booleans(),
        ODD_INSTANTS,
        ODD_INSTANTS,
        st.none() | st.integers(0, 255),
    ),
)


def present(containers: Mapping[str, Known | None]) -> dict[str, Known]:
    return {key: known for key, known in containers.items() if known is not None}


@given(known=KNOWN, seen=SEEN_LISTED | SEEN_INSPECTED)
def test_what_is_inferred_explains_what_is_seen(
    known: dict[str, Known], seen: dict[str, Seen]
) -> None:
    """Once it is journalled nothing differs any more: the next comparison does not tell it again."""
    rows = inferred(known, seen, differing(known, seen), NOW)
    assert len({row.key for row in rows}) == len(rows)
    after = present({**known, **implied(rows, known)})
    assert differing(after, seen) == set()
    assert {row.subject for row in rows} == differing(known, seen)


@given(known=KNOWN, seen=SEEN_INSPECTED)
def test_the_server_ends_up_with_the_right_picture(
    known: dict[str, Known], seen: dict[str, Seen]
) -> None:
    """Told only the inferred rows, whoever believes them knows of each container whether it runs."""
    rows = inferred(known, seen, differing(known, seen), NOW)
    after = present({**known, **implied(rows, known)})
    running = {key for key, item in after.items() if item.running}
    assert running == {key for key, item in seen.items() if item.running}
    assert after.keys() <= seen.keys()


@given(seen=SEEN_LISTED)
def test_what_was_adopted_differs_in_nothing(seen: dict[str, Seen]) -> None:
    """The first comparison after a first start is silent."""
    assert differing(present(adopted(seen, NOW)), seen) == set()
