"""What the progress bar shows while an image is pulled: the engine's lines in, the server's event out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.pull_progress import MAX_LAYERS, PullProgress

Json = dict[str, Any]
MIB = 1 << 20
ID = "3b7e0c112233"
DONE: Json = {"status": "Status: Downloaded newer image for paper:2.4"}


def line(layer: str, status: str, current: int | None = None, total: int | None = None) -> Json:
    detail = {} if total is None else {"current": current, "total": total}
    return {"status": status, "progressDetail": detail, "id": layer}


class Pull:
    """A pull whose lines come at instants that the test names."""

    def __init__(self, *lines: Json) -> None:
        self.progress = PullProgress()
        self.at_s = 0.0
        self.feed(*lines)

    def feed(self, *lines: Json, at_s: float | None = None) -> None:
        self.at_s = self.at_s if at_s is None else at_s
        for each in lines:
            self.progress.feed(each, self.at_s)

    def sent(self, at_s: float | None = None) -> Json:
        self.at_s = self.at_s if at_s is None else at_s
        return self.progress.payload(ID, self.at_s)

    def overall(self) -> int:
        overall = self.sent()["overall_progress"]
        assert type(overall) is int
        return overall


def test_a_whole_pull() -> None:
    """As dockerd tells it: announced, downloaded, extracted, done."""
    pull = Pull(
        {"status": "Pulling from library/paper", "id": "2.4"},
        line("aaaaaaaaaaaa", "Already exists"),
        line("bbbbbbbbbbbb", "Pulling fs layer"),
        line("cccccccccccc", "Pulling fs layer"),
        line("bbbbbbbbbbbb", "Downloading", 50, 100),
        line("cccccccccccc", "Downloading", 100, 300),
    )
    assert pull.sent() == {
        "container_id": ID,
        "overall_progress": 37,
        "layers": [
            {"id": 12 * "b", "status": "Downloading", "current": 50, "total": 100, "percent": 50},
            {"id": 12 * "c", "status": "Downloading", "current": 100, "total": 300, "percent": 33},
            {"id": 12 * "a", "status": "Already exists", "current": 0, "total": 0, "percent": 100},
        ],
        "total_layers": 3,
        "remaining_layers": 0,
        "summary": "Pulling: 1 of 3 layers complete, 0.0 MiB/s",
        "speed_mbps": 0.0,
    }
    pull.feed(
        line("bbbbbbbbbbbb", "Verifying Checksum"),
        line("bbbbbbbbbbbb", "Download complete"),
        line("cccccccccccc", "Download complete"),
        line("bbbbbbbbbbbb", "Extracting", 30, 100),
    )
    sent = pull.sent()
    assert sent["overall_progress"] == 99
    assert sent["summary"] == "Pulling: 1 of 3 layers complete, extracting"
    assert sent["layers"][:2] == [
        {"id": 12 * "b", "status": "Extracting", "current": 30, "total": 100, "percent": 30},
        {
            "id": 12 * "c",
            "status": "Download complete",
            "current": 300,
            "total": 300,
            "percent": 100,
        },
    ]
    pull.feed(
        line("bbbbbbbbbbbb", "Pull complete"),
        line("cccccccccccc", "Pull complete"),
        {"status": "Digest: sha256:0123"},
        DONE,
    )
    sent = pull.sent()
    assert sent["overall_progress"] == 100
    assert sent["summary"] == "Pulling: complete"
    assert {layer["percent"] for layer in sent["layers"]} == {100}


def test_nothing_to_pull() -> None:
    """The image is there: no layers, and it is done."""
    pull = Pull({"status": "Pulling from library/paper", "id": "2.4"})
    assert pull.sent()["summary"] == "Pulling"
    pull.feed({"status": "Status: Image is up to date for paper:2.4"})
    sent = pull.sent()
    assert (sent["overall_progress"], sent["layers"], sent["total_layers"]) == (100, [], 0)


# --- The whole


def test_layers_whose_size_is_not_known() -> None:
    """They count as much as the others do on average: a small first layer is not all there is."""
    pull = Pull(*(line(layer, "Waiting") for layer in "abcd"))
    pull.feed(line("a", "Downloading", 100, 100), line("a", "Download complete"))
    assert pull.overall() == 25


def test_layers_that_were_there() -> None:
    """They are no part of the work, and for the first ones announced no reason to be done."""
    pull = Pull(line("a", "Already exists"), line("b", "Already exists"))
    assert pull.overall() == 0
    pull.feed(line("c", "Downloading", 50, 100))
    assert pull.overall() == 50


def test_the_whole_never_goes_backwards() -> None:
    """Neither when a large layer turns up late nor when a download begins anew."""
    pull = Pull(line("a", "Downloading", 80, 100))
    assert pull.overall() == 80
    pull.feed(line("b", "Downloading", 0, 900))
    assert pull.overall() == 80
    pull.feed(line("a", "Retrying in 5 seconds"))
    sent = pull.sent()
    assert sent["overall_progress"] == 80
    assert (sent["layers"][-1]["status"], sent["layers"][-1]["percent"]) == (
        "Retrying in 5 seconds",
        0,
    )
    pull.feed(line("b", "Downloading", 850, 900))
    assert pull.overall() == 85


def test_what_is_downloaded_is_not_yet_pulled() -> None:
    """Only the engine's last line makes it 100."""
    pull = Pull(line("a", "Downloading", 100, 100), line("a", "Pull complete"))
    assert pull.overall() == 99
    pull.feed(DONE)
    assert pull.overall() == 100


# --- Layers


def test_more_layers_than_can_be_shown() -> None:
    """What is being worked on comes first, then what waits, then what is done; the rest is counted."""
    pull = Pull(
        *(line(f"done{n}", "Pull complete") for n in range(15)),
        *(line(f"wait{n}", "Waiting") for n in range(10)),
        line("busy0", "Downloading", 1, 2),
        line("busy1", "Extracting", 1, 2),
    )
    sent = pull.sent()
    shown = [layer["id"] for layer in sent["layers"]]
    assert shown == [
        "busy0",
        "busy1",
        *(f"wait{n}" for n in range(10)),
        *(f"done{n}" for n in range(8)),
    ]
    assert (sent["total_layers"], sent["remaining_layers"]) == (27, 7)


@pytest.mark.parametrize(
    ("status", "detail", "shown"),
    [
        ("Downloading", {"current": 5, "total": 10}, (5, 10, 50)),
        ("Downloading", {"current": 12, "total": 10}, (10, 10, 100)),
        ("Downloading", {"current": 5, "total": -1}, (0, 0, 0)),
        ("Downloading", {"current": 5}, (0, 0, 0)),
        ("Downloading", {"current": -5, "total": 10}, (0, 0, 0)),
        ("Downloading", {"current": 5.5, "total": 10}, (0, 0, 0)),
        ("Downloading", {"current": "5", "total": True}, (0, 0, 0)),
        ("Downloading", None, (0, 0, 0)),
        ("Download complete", {}, (0, 0, 100)),
        ("Extracting", {"current": 3, "units": "s"}, (0, 0, 0)),
        ("Extracting", {"current": 3, "total": 9, "units": "s"}, (0, 0, 0)),
        ("Pull complete", {}, (0, 0, 100)),
    ],
)
def test_what_a_layer_shows(status: str, detail: Any, shown: tuple[int, int, int]) -> None:
    """Bytes and percent, 0 where the engine does not say, or counts something else."""
    pull = Pull({"status": status, "id": "a", "progressDetail": detail})
    [layer] = pull.sent()["layers"]
    assert (layer["current"], layer["total"], layer["percent"]) == shown


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"status": "Pulling from library/paper", "id": "2.4"},
        {"status": "Digest: sha256:0123"},
        {"status": None, "id": "a"},
        {"status": "Downloading", "id": 7},
        {"status": "Downloading", "id": ""},
        {"errorDetail": {"message": "no space left"}, "error": "no space left"},
        {"stream": "Trying to pull…"},
    ],
)
def test_lines_that_are_about_no_layer(odd: Json) -> None:
    """They are passed over."""
    pull = Pull(odd)
    assert not pull.progress.due(10)
    assert pull.sent()["total_layers"] == 0


def test_a_stream_without_end() -> None:
    """No more layers are remembered than any image has, by far."""
    pull = Pull(*(line(f"{n}", "Waiting") for n in range(5000)))
    assert pull.sent()["total_layers"] == 1000


# --- Speed


def test_the_speed_is_the_mean_of_the_last_three_seconds() -> None:
    """In MiB/s, out of samples that are at least a second apart."""
    pull = Pull(line("a", "Downloading", 0, 100 * MIB))
    speeds = []
    for second, mib in enumerate([1, 3, 8, 9, 10], start=1):
        pull.feed(line("a", "Downloading", mib * MIB, 100 * MIB), at_s=second)
        pull.feed(line("a", "Downloading", mib * MIB, 100 * MIB), at_s=second + 0.5)
        speeds.append(pull.sent()["speed_mbps"])
    assert speeds == [1.0, 1.5, 2.67, 2.67, 2.33]


def test_the_speed_of_what_was_here_before() -> None:
    """None at all; and a download that begins anew is not negative."""
    pull = Pull(line("a", "Already exists"), line("b", "Downloading", 5 * MIB, 9 * MIB))
    pull.feed(line("b", "Retrying in 1 second"), at_s=1)
    assert pull.sent()["speed_mbps"] == 0.0


def test_a_download_that_stalls() -> None:
    """Its speed falls to nothing though no line comes."""
    pull = Pull(line("a", "Downloading", 0, 9 * MIB))
    pull.feed(line("a", "Downloading", 3 * MIB, 9 * MIB), at_s=1)
    assert [pull.sent(at_s)["speed_mbps"] for at_s in (1, 2, 3, 4)] == [3.0, 1.5, 1.0, 0.0]


# --- When it is due


def test_when_it_is_due() -> None:
    """At first, after half a second, after 5 points, and when a layer is complete; never without news."""
    pull = Pull()
    due = pull.progress.due
    assert not due(0)
    pull.feed(line("a", "Downloading", 0, 100))
    assert due(0)
    pull.sent(0)
    assert not due(9)
    pull.feed(line("a", "Downloading", 4, 100), at_s=0.1)
    assert not due(0.49)
    assert due(0.5)
    pull.feed(line("a", "Downloading", 5, 100), at_s=0.2)
    assert due(0.2)
    pull.sent(0.2)
    pull.feed(line("a", "Extracting", 1, 100), at_s=0.3)
    pull.sent(0.3)
    pull.feed(line("a", "Extracting", 99, 100))
    assert not due(0.4)
    pull.feed(line("a", "Pull complete"))
    assert due(0.4)
    pull.sent(0.4)
    pull.feed(line("b", "Already exists"))
    assert not due(0.5)
    pull.feed(DONE)
    assert due(0.5)


STATUSES = st.one_of(
    st.sampled_from(
        [
            "Pulling fs layer",
            "Waiting",
            "Downloading",
            "Verifying Checksum",
            "Download complete",
            "Extracting",
            "Pull complete",
            "Already exists",
            "Retrying in 3 seconds",
            "Status: Image is up to date",
        ]
    ),
    st.text(max_size=4),
    st.none(),
)
NUMBERS = st.one_of(st.integers(-1, 2**40), st.none(), st.floats())
DETAILS = st.one_of(
    st.none(), st.fixed_dictionaries({}, optional={"current": NUMBERS, "total": NUMBERS})
)
LINES = st.fixed_dictionaries(
    {},
    optional={
        "status": STATUSES,
        "id": st.one_of(st.text(max_size=70), st.integers(0, 40).map(str)),
        "progressDetail": DETAILS,
    },
)


@given(st.lists(st.tuples(LINES, st.floats(0, 10)), max_size=60))
def test_whatever_the_engine_writes(lines: list[tuple[Json, float]]) -> None:
    """What is sent always has the shape that the server takes, and the bar never goes back."""
    progress, at_s, overall = PullProgress(), 0.0, 0
    for each, later_s in lines:
        at_s += later_s
        progress.feed(each, at_s)
        sent = progress.payload(ID, at_s)
        assert type(sent["overall_progress"]) is int
        assert overall <= sent["overall_progress"] <= 100
        overall = sent["overall_progress"]
        assert len(sent["layers"]) <= MAX_LAYERS
        assert sent["remaining_layers"] == sent["total_layers"] - len(sent["layers"])
        assert isinstance(sent["speed_mbps"], float)
        assert sent["speed_mbps"] >= 0
        for layer in sent["layers"]:
            assert len(layer["id"]) <= 12
            assert all(type(layer[key]) is int for key in ("current", "total", "percent"))
            assert 0 <= layer["current"] <= layer["total"]
            assert 0 <= layer["percent"] <= 100
