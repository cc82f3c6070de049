"""Which container we are, by what lies around in it."""

from __future__ import annotations

import pytest

from agent.core.own_container import OwnContainer, candidates, is_id, no_volume

ONE, TWO = "a1" * 32, "b2" * 32

DOCKER_MOUNTS = f"""\
1012 1001 0:52 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/X
1020 1012 8:1 /var/lib/docker/containers/{ONE}/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda1 rw
1021 1012 8:1 /var/lib/docker/containers/{ONE}/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw
1022 1012 8:1 /var/lib/docker/containers/{ONE}/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
1023 1012 8:1 /var/lib/docker/volumes/agent/_data /data rw,relatime - ext4 /dev/sda1 rw
"""
PODMAN_MOUNTS = f"""\
620 619 0:25 /containers/overlay-containers/{ONE}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw
"""
HOST_MOUNTS = (
    f"500 30 0:60 / /var/lib/docker/containers/{TWO}/mounts/shm rw - tmpfs shm rw\n"
    "31 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
)


@pytest.mark.parametrize(
    ("mountinfo", "cgroup", "hostname", "found"),
    [
        (DOCKER_MOUNTS, "0::/\n", "custom-name", [ONE]),
        (DOCKER_MOUNTS, "0::/\n", ONE[:12], [ONE]),
        (PODMAN_MOUNTS, "", "", [ONE]),
        ("", f"12:memory:/docker/{ONE}\n11:cpu:/docker/{ONE}\n", "", [ONE]),
        ("", f"0::/system.slice/docker-{ONE}.scope\n", "", [ONE]),
        ("", f"0::/machine.slice/libpod-{ONE}.scope/container\n", "", [ONE]),
        ("", f"4:pids:/docker/{TWO}/docker/{ONE}\n", "", [ONE]),
        ("", "0::/\n", "a1a1a1a1a1a1", ["a1a1a1a1a1a1"]),
        ("", "0::/\n", "a1a1a1a1a1a1.example.org", ["a1a1a1a1a1a1"]),
        (DOCKER_MOUNTS, f"1:cpu:/docker/{TWO}\n", "c3c3c3c3c3c3", [ONE, TWO, "c3c3c3c3c3c3"]),
        (HOST_MOUNTS, "0::/user.slice/user-1000.slice\n", "rack7", []),
        ("", "", "", []),
        ("short line\n\n", "no colon", "A1A1A1A1A1A1", []),
    ],
)
def test_candidates(mountinfo: str, cgroup: str, hostname: str, found: list[str]) -> None:
    """Mounts before control groups before the name; a host that sees other containers' mounts is none of them."""
    assert candidates(mountinfo=mountinfo, cgroup=cgroup, hostname=hostname) == found


@pytest.mark.parametrize(
    ("own", "reference", "is_meant"),
    [
        (ONE, ONE, True),
        (ONE, ONE[:12], True),
        (ONE, TWO[:12], False),
        (ONE[:12], ONE, True),
        (ONE, "dockmon-agent", False),
    ],
)
def test_who_is_meant(own: str, reference: str, is_meant: bool) -> None:
    """By the whole ID or the beginning of it, whichever of the two is longer."""
    assert OwnContainer(own).is_meant_by(reference) is is_meant


@pytest.mark.parametrize(
    ("reference", "is_an_id"),
    [(ONE, True), (ONE[:12], True), (ONE[:11], False), ("A" * 12, False), ("my-container", False)],
)
def test_what_an_id_looks_like(reference: str, is_an_id: bool) -> None:
    """Twelve to 64 lower-case hexadecimal digits."""
    assert is_id(reference) is is_an_id


@pytest.mark.parametrize(
    ("mounts", "is_kept"),
    [
        (["/data"], True),
        (["/data/update"], True),
        (["/"], True),
        (["/database", "/data/stacks", "/var/run/docker.sock"], False),
        ([], False),
    ],
)
def test_what_outlives_the_container(mounts: list[str], is_kept: bool) -> None:
    """Only what is on a mount; the others go with it."""
    own = {"Id": "0d" * 32, "Mounts": [{"Destination": path} for path in mounts]}
    assert (no_volume(own, "/data/update") == "") is is_kept
    assert no_volume({}, "/data/update") == "", "nobody knows"
