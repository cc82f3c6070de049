"""Anonymous volumes stay with their container, however they came to be."""

from __future__ import annotations

from typing import Any

from agent.core.carried_volumes import carry_volumes

Json = dict[str, Any]
ANON, OTHER = "a" * 64, "b" * 64


def mounted(path: str, name: str = ANON, **more: Any) -> Json:
    """As an inspection has it."""
    source = f"/var/lib/docker/volumes/{name}/_data"
    base: Json = {"Type": "volume", "Name": name, "Source": source, "Destination": path}
    return base | {"Driver": "local", "Mode": "", "RW": True, "Propagation": ""} | more


def carried(host: Json, *mounts: Json) -> Json:
    carry_volumes(host, list(mounts))
    return host


def mount(path: str, name: str = ANON, **more: Any) -> Json:
    """As a creation has it."""
    return {"Type": "volume", "Source": name, "Target": path, **more}


def test_a_volume_that_an_image_declares() -> None:
    """It is nowhere but in what is mounted."""
    assert carried({"Binds": None}, mounted("/data")) == {"Binds": None, "Mounts": [mount("/data")]}


def test_named_volumes_and_binds() -> None:
    """They are asked for already, and nothing is added, whichever way the path is written."""
    host: Json = {"Binds": ["named:/a/:ro", "/srv:/b:ro,rslave"], "Mounts": [mount("/c", "named2")]}
    mounts = [
        mounted("/a", "named", RW=False),
        {"Type": "bind", "Source": "/srv", "Destination": "/b", "RW": False},
        mounted("/c", "named2"),
        {"Type": "tmpfs", "Destination": "/run"},
    ]
    assert carried(dict(host), *mounts) == host


def test_a_mount_without_a_source() -> None:
    """It is given one, and keeps its options."""
    options: Json = {"VolumeOptions": {"NoCopy": True, "Labels": {"a": "1"}}, "ReadOnly": True}
    unnamed = {"Type": "volume", "Target": "/data", **options}
    host = {"Mounts": [unnamed, {"Type": "tmpfs", "Target": "/t"}]}
    assert carried(host, mounted("/data", RW=False)) == {
        "Mounts": [mount("/data", **options), {"Type": "tmpfs", "Target": "/t"}]
    }


def test_a_bind_that_is_only_a_path() -> None:
    """It makes way, for the engine refuses two things at one path."""
    host = {"Binds": ["/data", "/srv:/srv"]}
    assert carried(host, mounted("/data")) == {"Binds": ["/srv:/srv"], "Mounts": [mount("/data")]}


def test_volumes_from_another_container() -> None:
    """They are asked for by name as well, with the access that was granted."""
    host = {"VolumesFrom": ["db:ro"]}
    read_only = mounted("/db", OTHER, RW=False, Mode="ro")
    assert carried(host, read_only, mounted("/log", ANON, Mode="nocopy")) == {
        "VolumesFrom": ["db:ro"],
        "Mounts": [
            mount("/db", OTHER, ReadOnly=True),
            mount("/log", VolumeOptions={"NoCopy": True}),
        ],
    }


def test_the_second_time() -> None:
    """What was carried over once is asked for by name, and no more is added."""
    once = carried({}, mounted("/data:1"))
    assert once == {"Mounts": [mount("/data:1")]}
    assert carried(dict(once), mounted("/data:1", Mode="z")) == once


def test_nothing_is_mounted() -> None:
    """Nothing to do; a mount that the engine does not report is left as it was."""
    assert carried({}) == {}
    host: Json = {"Binds": ["/data"], "Mounts": [{"Type": "volume", "Target": "/x"}]}
    assert carried(dict(host)) == host
