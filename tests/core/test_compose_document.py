"""What a resolved project mounts from where, seen by an agent that may be in a container itself."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.compose.document import (
    HostPaths,
    UnusableStack,
    built,
    container_names,
    images,
    located,
    mounts_of,
)

STAGED, STORED, STACKS = "/data/stacks/.paper.new", "/data/stacks/paper", "/data/stacks"
NATIVE = HostPaths(STACKS)


def project(source: str) -> dict[str, Any]:
    volume = {"type": "bind", "source": source, "target": "/d"}
    return {"services": {"web": {"image": "nginx", "volumes": [volume]}}}


def source_of(document: dict[str, Any]) -> str:
    return str(document["services"]["web"]["volumes"][0]["source"])


@pytest.mark.parametrize(
    ("hosts", "path", "host_path"),
    [
        (NATIVE, "/data/stacks/paper", "/data/stacks/paper"),
        (HostPaths(STACKS, mounts=(("/data", "/mnt/v"),)), "/data/stacks/p", "/mnt/v/stacks/p"),
        (HostPaths(STACKS, mounts=(("/data", "/v"), (STACKS, "/s"))), "/data/stacks/p", "/s/p"),
        (HostPaths(STACKS, mounts=(("/", "/host"),)), "/data/stacks/p", "/host/data/stacks/p"),
        (HostPaths(STACKS, mounts=(("/dat", "/v"),)), "/data/stacks/p", None),
        (HostPaths(STACKS, mounts=()), "/data/stacks/p", None),
        (HostPaths(STACKS, mounts=(("/data", ""),)), "/data/stacks/p", None),
        (HostPaths(STACKS, "/srv/s", mounts=(("/data", "/v"),)), "/data/stacks/p", "/srv/s/p"),
        (HostPaths(STACKS, "/srv/s"), "/data/stacks", "/srv/s"),
    ],
)
def test_the_hosts_path(hosts: HostPaths, path: str, host_path: str | None) -> None:
    """What somebody told wins, then the longest mount over it; None is in our own container only."""
    assert hosts.of(path) == host_path


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (f"{STAGED}/site", "/srv/s/paper/site"),
        (STAGED, "/srv/s/paper"),
        ("/data/stacks/shared", "/srv/s/shared"),
        ("/srv/media", "/srv/media"),
        ("/data/other", "/data/other"),
        ("/data/stacks-of-others", "/data/stacks-of-others"),
    ],
)
def test_where_a_bind_leads(source: str, found: str) -> None:
    """Relative ones lead beside the stored file, as the host has it; the rest is the host's as it stands."""
    before = project(source)
    after = located(before, staged=STAGED, stored=STORED, hosts=HostPaths(STACKS, "/srv/s"))
    assert source_of(after) == found
    assert before == project(source)


def test_all_that_is_mounted() -> None:
    """Files of secrets and configs and devices of volumes are as much of the host as binds."""
    document = {
        **project(f"{STAGED}/site"),
        "secrets": {"s": {"file": f"{STAGED}/s.txt"}, "e": {"environment": "S"}},
        "configs": {"c": {"file": f"{STAGED}/c.txt"}, "i": {"content": "text"}},
        "volumes": {
            "v": {"driver_opts": {"type": "none", "o": "bind", "device": f"{STAGED}/v"}},
            "n": {"driver_opts": {"type": "nfs", "o": "addr=192.0.2.7", "device": ":/x"}},
            "plain": None,
        },
    }
    after = located(document, staged=STAGED, stored=STORED, hosts=NATIVE)
    assert source_of(after) == f"{STORED}/site"
    assert after["secrets"]["s"]["file"] == f"{STORED}/s.txt"
    assert after["configs"]["c"]["file"] == f"{STORED}/c.txt"
    assert after["volumes"]["v"]["driver_opts"]["device"] == f"{STORED}/v"
    assert after["volumes"]["n"] == document["volumes"]["n"]


def test_what_only_the_agent_would_see() -> None:
    """Refused by name: the engine would make an empty directory in its place."""
    hosts = HostPaths(STACKS, mounts=())
    with pytest.raises(UnusableStack, match=r"^service web: /data/stacks/paper/site is in the"):
        located(project(f"{STAGED}/site"), staged=STAGED, stored=STORED, hosts=hosts)


def test_a_home_that_is_nobodys() -> None:
    """Compose knows no home here, and takes ~ for a directory of that name."""
    with pytest.raises(UnusableStack, match="instead of ~"):
        located(project(f"{STAGED}/~/site"), staged=STAGED, stored=STORED, hosts=NATIVE)


def test_what_a_project_is_made_of() -> None:
    """Services with their images, what would be built, and the names that containers are given."""
    document = {"services": {"a": {"image": "x", "container_name": "c"}, "b": {"build": {"x": 1}}}}
    assert images(document) == {"a": "x", "b": ""}
    assert built(document) == ["b"]
    assert container_names(document) == {"c": "a"}


@pytest.mark.parametrize("document", [{}, {"services": None}, {"services": {"a": None}}])
def test_what_is_not_there(document: dict[str, Any]) -> None:
    """Nothing of it is a reason to fail."""
    assert (images(document), built(document)) == ({}, [])
    assert located(document, staged=STAGED, stored=STORED, hosts=NATIVE) == document


def test_mounts_of_a_container() -> None:
    """As an inspection tells them, volumes too."""
    inspected = {"Mounts": [{"Source": "/v/_data", "Destination": "/data"}, {}]}
    assert mounts_of(inspected) == (("/data", "/v/_data"), ("", ""))
    assert mounts_of({"Mounts": None}) == ()
