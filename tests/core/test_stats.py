"""The formulas, on answers as engines give them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.stats import MAX, Counters, counters, sample, working_set_bytes, zero_sample

NOW = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
ID = "3b7e0c" + 58 * "0"
S = 1_000_000_000

V1: dict[str, Any] = {
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 4096},
            {"major": 8, "minor": 0, "op": "Write", "value": 512},
            {"major": 8, "minor": 0, "op": "Sync", "value": 99},
            {"major": 8, "minor": 0, "op": "Total", "value": 4608},
            {"major": 8, "minor": 16, "op": "Read", "value": 1},
        ]
    },
    "cpu_stats": {
        "cpu_usage": {"total_usage": 5 * S, "percpu_usage": [3 * S, 2 * S]},
        "system_cpu_usage": 400 * S,
        "online_cpus": 2,
    },
    "precpu_stats": {"cpu_usage": {"total_usage": 0}},
    "memory_stats": {
        "usage": 10_000,
        "limit": 1_000_000,
        "stats": {"cache": 4_000, "inactive_file": 3_000, "total_inactive_file": 3_000},
    },
    "networks": {
        "eth0": {"rx_bytes": 200, "tx_bytes": 10},
        "eth1": {"rx_bytes": 50, "tx_bytes": 5},
    },
}
"""As dockerd 20.10 answers on control groups of version 1."""

V2: dict[str, Any] = {
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "read", "value": 4096},
            {"major": 8, "minor": 0, "op": "write", "value": 513},
        ]
    },
    "cpu_stats": {
        "cpu_usage": {"total_usage": 5 * S},
        "system_cpu_usage": 400 * S,
        "online_cpus": 2,
    },
    "memory_stats": {
        "usage": 10_000,
        "limit": 1_000_000,
        "stats": {"anon": 2_000, "active_file": 300, "inactive_file": 7_000},
    },
    "networks": {"eth0": {"rx_bytes": 250, "tx_bytes": 15}},
}
"""The same container on version 2: operations in lower case, no usage of each core."""


def test_an_answer_on_control_groups_version_1() -> None:
    """Memory without the inactive cache; networks and disks added up."""
    assert counters(V1) == Counters(
        cpu_ns=5 * S,
        system_cpu_ns=400 * S,
        cpus=2,
        memory_usage_bytes=7_000,
        memory_limit_bytes=1_000_000,
        network_rx_bytes=250,
        network_tx_bytes=15,
        disk_read_bytes=4097,
        disk_write_bytes=512,
    )


def test_an_answer_on_control_groups_version_2() -> None:
    """Disk operations count whatever their case; memory is what is not backed by files, and the active cache."""
    assert counters(V2) == counters(V1)._replace(
        memory_usage_bytes=2_300, disk_read_bytes=4096, disk_write_bytes=513
    )


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        ({"anon": 40, "active_file": 5, "inactive_file": 99}, 45),
        ({"anon": 40}, 40),
        ({"anon": 0, "active_file": 5}, 5),
        ({"inactive_file": 30}, 70),
        ({"inactive_file": 30, "total_inactive_file": 40}, 60),
        ({"inactive_file": 100}, 100),
        ({"inactive_file": 130}, 100),
        ({}, 100),
    ],
)
def test_the_working_set(stat: dict[str, Any], expected: int) -> None:
    """Of 100 bytes that are charged for, those that the kernel could not drop at once."""
    assert working_set_bytes(100, stat) == expected


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ({"online_cpus": 4, "cpu_usage": {"percpu_usage": [1, 2]}}, 4),
        ({"online_cpus": 0, "cpu_usage": {"percpu_usage": [1, 2]}}, 2),
        ({"cpu_usage": {"percpu_usage": [1, 2, 3]}}, 3),
        ({"cpu_usage": {"percpu_usage": None}}, 1),
        ({}, 1),
    ],
)
def test_the_number_of_cores(cpu: dict[str, Any], expected: int) -> None:
    """What the engine says; else as many as it lists; else one."""
    assert counters({"cpu_stats": cpu}).cpus == expected


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"cpu_stats": None, "memory_stats": None, "blkio_stats": None, "networks": None},
        {"cpu_stats": [], "memory_stats": "?", "blkio_stats": 7, "networks": {"eth0": None}},
        {"blkio_stats": {"io_service_bytes_recursive": None}},
        {"blkio_stats": {"io_service_bytes_recursive": [None, {}, {"op": None, "value": 3}]}},
        {"cpu_stats": {"cpu_usage": None, "system_cpu_usage": "9", "online_cpus": True}},
        {"memory_stats": {"usage": -5, "limit": 12.5, "stats": None}},
        {"networks": {"eth0": {"rx_bytes": None, "tx_bytes": "12"}}},
    ],
)
def test_odd_answers(odd: dict[str, Any]) -> None:
    """A stopped container, another engine, a new version: what cannot be read counts as 0."""
    assert counters(odd) == Counters()


def test_counters_that_do_not_fit() -> None:
    """Some engines report a missing limit as more than 64 bits hold; the sum of two large ones would not fit either."""
    huge = {"rx_bytes": MAX, "tx_bytes": 2**70}
    seen = counters({"memory_stats": {"limit": 2**64}, "networks": {"a": huge, "b": huge}})
    assert (seen.memory_limit_bytes, seen.network_rx_bytes, seen.network_tx_bytes) == (MAX,) * 3


# Samples


def test_a_sample() -> None:
    """Every key, in its unit."""
    before = counters(V1)._replace(cpu_ns=4 * S, system_cpu_ns=390 * S)
    assert sample(before, counters(V1), container_id=ID, name="paper-web-1", at=NOW) == {
        "container_id": ID,
        "container_name": "paper-web-1",
        "cpu_percent": 20.0,
        "memory_usage": 7_000,
        "memory_limit": 1_000_000,
        "memory_percent": 0.7,
        "network_rx": 250,
        "network_tx": 15,
        "disk_read": 4097,
        "disk_write": 512,
        "timestamp": "2031-05-04T03:02:01.000000Z",
    }


def test_the_last_sample() -> None:
    """All zeros, and whole numbers where they have to be."""
    last = zero_sample(container_id=ID, name="web", at=NOW)
    figures = {key: value for key, value in last.items() if not isinstance(value, str)}
    assert set(figures.values()) == {0}
    assert [key for key, value in figures.items() if isinstance(value, float)] == [
        "cpu_percent",
        "memory_percent",
    ]


@pytest.mark.parametrize(
    ("used_ns", "passed_ns", "cpus", "percent"),
    [
        (1 * S, 10 * S, 1, 10.0),
        (10 * S, 20 * S, 4, 200.0),  # two cores of four
        (1, 1 * S, 1, 0.0),
        (5, 10_000, 1, 0.1),  # 0.05 %: a half goes up
        (25, 10_000, 1, 0.3),  # 0.25 %, which is even to Python's own rounding
        (4, 10_000, 1, 0.0),
        (0, 10 * S, 1, 0.0),
        (-3 * S, 10 * S, 1, 0.0),  # it was restarted
        (3 * S, 0, 1, 0.0),
        (3 * S, -10 * S, 1, 0.0),  # the host was
    ],
)
def test_cpu_usage(used_ns: int, passed_ns: int, cpus: int, percent: float) -> None:
    """The share of all cores' time, in percent of one core; 0 unless both counters grew."""
    before = Counters(cpu_ns=100 * S, system_cpu_ns=100 * S, cpus=cpus)
    now = Counters(cpu_ns=100 * S + used_ns, system_cpu_ns=100 * S + passed_ns, cpus=cpus)
    assert sample(before, now, container_id=ID, name="", at=NOW)["cpu_percent"] == percent


def test_the_first_look() -> None:
    """There is nothing to measure against yet."""
    assert sample(None, counters(V1), container_id=ID, name="", at=NOW)["cpu_percent"] == 0


def test_memory_without_a_limit() -> None:
    """No share of nothing."""
    used = Counters(memory_usage_bytes=7)
    assert sample(None, used, container_id=ID, name="", at=NOW)["memory_percent"] == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("cpu_stats", "cpu_usage", "total_usage", "online_cpus", "memory_stats"),
                    *("usage", "stats", "anon", "networks", "rx_bytes", "blkio_stats", "op"),
                    *("io_service_bytes_recursive", "value", "percpu_usage"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(list(V1)), JSON), st.dictionaries(st.text(), JSON))
def test_whatever_the_engine_says(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The server gets 64-bit counts without a sign and finite percentages, or it would hang up."""
    told = sample(counters(second), counters(first), container_id=ID, name="", at=NOW)
    for key, value in told.items():
        if key.endswith("percent"):
            assert isinstance(value, float)
            assert value >= 0
        elif key not in ("container_id", "container_name", "timestamp"):
            assert type(value) is int
            assert 0 <= value <= MAX
    json.dumps(told, allow_nan=False)
