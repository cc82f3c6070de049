"""How a project's services are, and when there is nothing more to wait for."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.compose.report import complete
from agent.core.compose.services import Replica, complaint, failed, is_of, replicas, states
from agent.core.compose.settling import Settling


def inspected(
    service: str = "web",
    number: int = 1,
    *,
    status: str = "running",
    health: str = "",
    exit_code: int = 0,
    policy: str = "no",
    started_at: str = "2026-01-01T00:00:00Z",
) -> dict[str, Any]:
    """As the engine shows a container."""
    state: dict[str, Any] = {"Status": status, "ExitCode": exit_code, "StartedAt": started_at}
    if health:
        state["Health"] = {"Status": health}
    return {
        "Id": f"{service}{number}".encode().hex().ljust(64, "0"),
        "Name": f"/paper-{service}-{number}",
        "Config": {"Image": "nginx", "Labels": {"com.docker.compose.service": service}},
        "HostConfig": {"RestartPolicy": {"Name": policy}},
        "State": state,
    }


def seen(*containers: dict[str, Any]) -> list[Replica]:
    return replicas(containers)


@pytest.mark.parametrize(
    ("container", "fine", "awaited_fine", "status"),
    [
        (inspected(), True, True, "running"),
        (inspected(health="healthy"), True, True, "running"),
        (inspected(health="starting"), True, False, "running"),
        (inspected(health="unhealthy"), False, False, "unhealthy"),
        (inspected(health="none"), True, True, "running"),
        (inspected(status="exited"), True, True, "exited"),
        (inspected(status="exited", policy="on-failure"), True, True, "exited"),
        (inspected(status="exited", policy=""), True, True, "exited"),
        (inspected(status="exited", policy="always"), False, False, "exited"),
        (inspected(status="exited", policy="unless-stopped"), False, False, "exited"),
        (inspected(status="exited", exit_code=1), False, False, "exited"),
        (inspected(status="restarting", policy="always"), False, False, "restarting"),
        (inspected(status="created"), False, False, "created"),
        (inspected(status="paused"), False, False, "paused"),
        (inspected(status="dead"), False, False, "dead"),
        (inspected(status="of a newer engine"), False, False, "of a newer engine"),
    ],
)
def test_what_is_fine(
    container: dict[str, Any], fine: bool, awaited_fine: bool, status: str
) -> None:
    """What runs, unless its health check says otherwise, and what ended well and was meant to."""
    [state] = states(seen(container), awaited=False).values()
    assert (state.is_fine, state.wire_status) == (fine, status)
    [state] = states(seen(container), awaited=True).values()
    assert state.is_fine == awaited_fine


def test_what_is_told_of_a_service() -> None:
    """The keys that the server reads; an exit code only where there is one."""
    [web] = states(seen(inspected(policy="")), awaited=False).values()
    assert web.payload() == {
        "container_id": "776562310000",
        "container_name": "paper-web-1",
        "image": "nginx",
        "status": "running",
        "restart_policy": "no",
    }
    [db] = states(seen(inspected("db", status="exited", exit_code=3)), awaited=False).values()
    assert (db.payload()["error"], db.payload()["exit_code"]) == ("exited with code 3", 3)


def test_replicas() -> None:
    """One that runs stands for all, and the worst of them says how the service is."""
    found = seen(
        inspected(number=1, status="exited", exit_code=1),
        inspected(number=2),
        inspected(number=3, health="starting"),
    )
    [web] = states(found, awaited=False).values()
    assert web.payload()["container_name"] == "paper-web-2"
    assert (web.payload()["status"], web.payload()["error"]) == ("exited", "exited with code 1")


def test_what_belongs_to_a_project() -> None:
    """Its services' containers; those that somebody runs for once do not count."""
    mine = {"com.docker.compose.project": "paper"}
    assert is_of("paper", mine)
    assert is_of("paper", mine | {"com.docker.compose.oneoff": "False"})
    assert not is_of("paper", mine | {"com.docker.compose.oneoff": "True"})
    assert not is_of("other", mine)
    assert not is_of("paper", None)


@pytest.mark.parametrize("odd", [{}, {"Config": None, "State": None, "HostConfig": None}])
def test_an_odd_container(odd: dict[str, Any]) -> None:
    """Whatever the engine leaves out, there is an answer, and it is not that all is fine."""
    found = states(seen(odd), awaited=False)
    assert failed(found) == ["unknown"]
    assert complaint(found) == "1 of 1 services failed: unknown is unknown"


# --- The end, as it is told


def test_all_fine() -> None:
    """A success names no failures."""
    found = states(seen(inspected(), inspected("job", status="exited")), awaited=True)
    told = complete("d-1", "up", found)
    assert (told["success"], told["partial_success"]) == (True, False)
    assert told.keys() == {"deployment_id", "action", "success", "partial_success", "services"}


def test_nothing_there() -> None:
    """No containers at all is a success, and the services are an object, never null."""
    told = complete("d-1", "down", {})
    assert (told["success"], told["services"]) == (True, {})


@pytest.mark.parametrize(
    ("health", "error", "partial"),
    [
        (("healthy", "unhealthy"), "", True),
        (("unhealthy", "unhealthy"), "", False),
        (("healthy", "healthy"), "port is already allocated", False),
        (("healthy", "unhealthy"), "port is already allocated", False),
    ],
)
def test_not_all_fine(health: tuple[str, str], error: str, partial: bool) -> None:
    """Some fine is a partial success, unless a step failed: then what runs may be what ran before."""
    containers = [inspected(f"s{n}", health=each) for n, each in enumerate(health)]
    told = complete("d-1", "up", states(seen(*containers), awaited=True), error)
    assert (told["success"], told["partial_success"]) == (False, partial)
    assert told["error"] == (error or complaint(states(seen(*containers), awaited=True)))
    assert ("failed_services" in told) == ("unhealthy" in health)


# --- Waiting


def test_all_have_to_be_fine_for_a_while() -> None:
    """Three seconds of running, whatever the first look says; a service that ended well is not waited for."""
    settling = Settling(timeout_s=60, at_s=0)
    found = seen(inspected(), inspected("job", status="exited"))
    assert [settling.look(found, at_s) for at_s in (0.0, 1.0, 2.9, 3.0)] == [
        *(False, False, False),
        True,
    ]


def test_something_that_will_never_be_fine() -> None:
    """What ended badly and is not started again ends the waiting at once."""
    settling = Settling(timeout_s=60, at_s=0)
    assert not settling.look(seen(inspected(health="starting")), 0.0)
    assert settling.look(seen(inspected(status="exited", exit_code=1)), 1.0)


@pytest.mark.parametrize("health", ["starting", "unhealthy"])
def test_what_may_still_become_fine(health: str) -> None:
    """Until the time is up."""
    settling = Settling(timeout_s=60, at_s=10)
    found = seen(inspected(health=health))
    assert [settling.look(found, at_s) for at_s in (10.0, 69.9, 70.0)] == [False, False, True]


def test_a_crash_loop_is_seen_through() -> None:
    """A container that runs at each look but was started anew is not fine, though it runs when time is up."""
    settling = Settling(timeout_s=10, at_s=0)
    for at_s in range(0, 10, 2):
        found = seen(inspected(started_at=f"2026-01-01T00:00:0{at_s}Z"), inspected("db"))
        assert not settling.look(found, float(at_s))
    assert settling.look(found, 10.0)
    assert failed(states(settling.corrected(found), awaited=True)) == ["web"]


def test_one_restart_is_no_loop() -> None:
    """A service that found its database at the second try runs on, and is fine."""
    settling = Settling(timeout_s=60, at_s=0)
    assert not settling.look(seen(inspected(started_at="2026-01-01T00:00:00Z")), 0.0)
    found = seen(inspected(started_at="2026-01-01T00:00:02Z"))
    assert [settling.look(found, at_s) for at_s in (2.0, 5.0)] == [False, True]
    assert failed(states(settling.corrected(found), awaited=True)) == []


def test_nothing_to_wait_for() -> None:
    """A project of which nothing runs is settled."""
    assert Settling(timeout_s=60, at_s=0).look([], 0.0)
