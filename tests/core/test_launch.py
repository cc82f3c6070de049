"""What the launcher tells, and how results are told on."""

from __future__ import annotations

import json

import pytest

from agent.core.launch import LastResult, Launch, NoLaunch, read_launch
from agent.core.update_results import failure, told

OWN = ("0d" * 32, "agent")
TOLD = {
    "launcher_api": 1,
    "running": {"build_id": "a", "version": "3.1.0", "source": "slot", "on_trial": True},
    "baked": {"build_id": "b", "version": "3.0.0"},
    "update_dir": "/data/update",
    "why_no_updates": "",
    "root_keys": 2,
    "trial": {"command_id": "c-1", "needs_engine": True},
    "last_result": None,
}


def test_a_launch() -> None:
    """As the contract between the two has it; what a newer launcher adds is no harm."""
    launch = read_launch(json.dumps(TOLD | {"new": 1}))
    assert isinstance(launch, Launch)
    assert launch.running.on_trial
    assert launch.trial is not None
    assert (launch.trial.command, launch.keys_dir) == ("self_update", "")


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps(TOLD | {"running": "3.1.0"})])
def test_what_is_none(text: str) -> None:
    """It says what is wrong, in one line."""
    with pytest.raises(NoLaunch) as refused:
        read_launch(text)
    assert len(str(refused.value).splitlines()) == 1


def result(outcome: str, command: str = "self_update") -> LastResult:
    return LastResult("c-1", command, "3.1.0", outcome, "why")  # type: ignore[arg-type]  # a table's


@pytest.mark.parametrize(
    ("command", "outcome", "own", "kinds"),
    [
        ("self_update", "updated", OWN, ["selfupdate_progress"]),
        ("update_container", "updated", OWN, ["selfupdate_progress", "update_complete"]),
        ("update_container", "updated", ("", ""), ["selfupdate_progress"]),
        ("update_container", "rolled_back", OWN, ["selfupdate_progress"]),
        ("self_update", "inconclusive", OWN, ["selfupdate_progress"]),
    ],
)
def test_what_the_server_is_told(
    command: str, outcome: str, own: tuple[str, str], kinds: list[str]
) -> None:
    """A container update that is complete names the container it was and is; a failed one has no such event."""
    rows = told(result(outcome, command), *own)
    assert [row.kind for row in rows] == kinds
    assert ("error" in rows[0].payload) is (outcome != "updated")
    if len(rows) > 1:
        assert (
            rows[1].payload["old_container_id"]
            == rows[1].payload["new_container_id"]
            == OWN[0][:12]
        )


def test_an_end_is_told_once() -> None:
    """Whatever it was: one command has one end."""
    keys = {told(result(outcome), *OWN)[0].key for outcome in ("updated", "rolled_back")}
    assert keys == {failure("c-1", "why").key}
