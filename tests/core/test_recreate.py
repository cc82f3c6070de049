"""The same container from another image: nothing forgotten, nothing of the old image's, nothing refused."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.recreate import Recreation, is_auto_remove, recreated

Json = dict[str, Any]

ID = "9ab3c1d2e4f5" + "0" * 52
SHORT = ID[:12]
OLD_API, NEW_API, NEWEST_API = (1, 41), (1, 44), (1, 52)


def container(
    *,
    config: Json | None = None,
    host: Json | None = None,
    networks: Json | None = None,
    mounts: list[Json] | None = None,
) -> Json:
    """An inspection. Without more it is on the default network and has nothing of its own."""
    return {
        "Id": ID,
        "Name": "/web",
        "Image": "sha256:" + "1" * 64,
        "Config": {"Hostname": SHORT, "Image": "paper:1", "Env": ["TZ=UTC"], **(config or {})},
        "HostConfig": {"NetworkMode": "default", **(host or {})},
        "NetworkSettings": {"Networks": {"bridge": {}} if networks is None else networks},
        "Mounts": mounts or [],
    }


def again(old: Json, *, api: tuple[int, int] = OLD_API, **more: Any) -> Recreation:
    return recreated(old, more.pop("image", {}), "paper:2", api=api, labels={}, **more)


def endpoints(recreation: Recreation) -> Json | None:
    """Those at creation."""
    networking = recreation.config.get("NetworkingConfig")
    return networking and networking["EndpointsConfig"]


# --- The whole


def test_a_whole_container() -> None:
    """As a user would have started it again by hand, with the new image."""
    old = container(
        config={
            "Labels": {"maintainer": "us", "team": "a"},
            "Env": ["PATH=/bin", "TZ=UTC"],
            "Cmd": ["serve"],
            "Domainname": "lan",
            "StopTimeout": 20,
        },
        host={
            "NetworkMode": "paper",
            "Binds": ["/srv:/data:ro"],
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "FromTheFuture": {"kept": True},
        },
        networks={
            "back": {"Aliases": ["api", SHORT], "IPAddress": "10.8.0.2"},
            "paper": {"IPAMConfig": {"IPv4Address": "10.9.0.5"}, "Aliases": [SHORT]},
        },
        mounts=[{"Type": "volume", "Name": "v" * 64, "Destination": "/cache", "RW": True}],
    )
    image = {"Config": {"Labels": {"maintainer": "us"}, "Env": ["PATH=/bin"], "Cmd": ["serve"]}}
    before = deepcopy(old)
    made = recreated(old, image, "paper:2", api=OLD_API, labels={"dockmon": "x"})
    assert made == Recreation(
        name="web",
        config={
            "Image": "paper:2",
            "Labels": {"team": "a", "dockmon": "x"},
            "Env": ["TZ=UTC"],
            "ExposedPorts": {},
            "Domainname": "lan",
            "StopTimeout": 20,
            "HostConfig": {
                "NetworkMode": "paper",
                "Binds": ["/srv:/data:ro"],
                "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
                "FromTheFuture": {"kept": True},
                "Mounts": [{"Type": "volume", "Source": "v" * 64, "Target": "/cache"}],
            },
            "NetworkingConfig": {
                "EndpointsConfig": {"paper": {"IPAMConfig": {"IPv4Address": "10.9.0.5"}}}
            },
        },
        networks=(("back", {"Aliases": ["api"]}),),
    )
    assert old == before, "an inspection is not for writing"


def test_labels_of_the_last_time() -> None:
    """What is added takes the place of what was added before."""
    old = container(config={"Labels": {"dockmon": "1"}})
    made = recreated(old, {}, "paper:2", api=OLD_API, labels={"dockmon": "2"})
    assert made.config["Labels"] == {"dockmon": "2"}


# --- Names that the engine made up


def test_the_host_name() -> None:
    """One that is the container's ID was made up; any other was asked for."""
    assert "Hostname" not in again(container()).config
    assert again(container(config={"Hostname": "web1"})).config["Hostname"] == "web1"
    assert (
        "Hostname"
        not in again(container(config={"Hostname": "vm"}, host={"UTSMode": "host"})).config
    )


@pytest.mark.parametrize(("mode", "is_kept"), [("host", False), ("web", True)])
def test_the_name_of_the_engines_host(mode: str, is_kept: bool) -> None:
    """With the host's network the engine fills it in; it is not to outlive a renaming of the host."""
    old = container(config={"Hostname": "rack7"}, host={"NetworkMode": mode})
    assert ("Hostname" in again(old, host_name="rack7").config) is is_kept


def test_the_host_name_in_the_environment() -> None:
    """Podman adds it there."""
    old = container(config={"Env": [f"HOSTNAME={SHORT}", "HOSTNAME=web1", "A=1"]})
    assert again(old).config["Env"] == ["HOSTNAME=web1", "A=1"]


# --- Networks


def test_the_default_network_needs_no_words() -> None:
    """Whatever is reported of it on an old engine."""
    for mode in ("default", "bridge"):
        reported = {"bridge": {"Aliases": None, "MacAddress": "02:42:ac:11:00:02"}}
        made = again(container(host={"NetworkMode": mode}, networks=reported))
        assert (endpoints(made), made.networks) == (None, ())
        assert made.config["HostConfig"]["NetworkMode"] == mode


def test_further_networks() -> None:
    """An old engine takes one at creation, the others later; a newer one takes all at once."""
    old = container(host={"NetworkMode": "b"}, networks={"a": {}, "b": {}, "bridge": {}})
    made = again(old)
    assert (endpoints(made), made.networks) == ({"b": {}}, (("a", {}), ("bridge", {})))
    made = again(old, api=NEW_API)
    assert (endpoints(made), made.networks) == ({"b": {}, "a": {}, "bridge": {}}, ())


@pytest.mark.parametrize(
    ("mode", "networks", "new_mode"),
    [
        ("default", ["a"], "a"),
        ("gone", ["a"], "a"),
        ("gone", ["bridge"], "bridge"),
        ("gone", [], "gone"),
        ("f00d" * 16, ["a"], "a"),
    ],
)
def test_a_network_that_it_is_no_longer_on(mode: str, networks: list[str], new_mode: str) -> None:
    """It must not come back to it: the mode names one that it is on."""
    old = container(
        host={"NetworkMode": mode}, networks={name: {"NetworkID": "f00d" * 16} for name in networks}
    )
    made = again(old)
    assert made.config["HostConfig"]["NetworkMode"] == new_mode
    assert made.networks == ()


MAC, OTHER_MAC = "52:54:00:00:00:01", "52:54:00:00:00:02"


@pytest.mark.parametrize(
    ("api", "config_mac", "at_creation"),
    [
        # Told of the container, and not of its networks: what they report is what is in use.
        (OLD_API, MAC, {"a": {}}),
        (OLD_API, "", {"a": {}}),
        # Told of the container, asked for by network.
        (NEW_API, MAC, {"a": {"MacAddress": MAC}, "b": {"MacAddress": OTHER_MAC}}),
        (NEW_API, "", {"a": {}, "b": {"MacAddress": OTHER_MAC}}),
        # Not told at all: what is in use stays in use.
        (NEWEST_API, "", {"a": {"MacAddress": MAC}, "b": {"MacAddress": OTHER_MAC}}),
    ],
)
def test_mac_addresses(api: tuple[int, int], config_mac: str, at_creation: Json) -> None:
    """They stay where one was asked for, as far as the engine lets it be told."""
    old = container(
        config={"MacAddress": config_mac} if config_mac else {},
        host={"NetworkMode": "a"},
        networks={"a": {"MacAddress": MAC}, "b": {"MacAddress": OTHER_MAC}},
    )
    made = again(old, api=api)
    assert endpoints(made) == at_creation
    assert made.config.get("MacAddress", "") == (config_mac if api == OLD_API else "")


def test_a_mac_address_on_the_default_network() -> None:
    """There is an endpoint to speak of then."""
    old = container(config={"MacAddress": MAC})
    assert endpoints(again(old, api=NEW_API)) == {"bridge": {"MacAddress": MAC}}
    assert endpoints(again(old)) is None
    assert again(old).config["MacAddress"] == MAC


@pytest.mark.parametrize("mode", ["host", "none"])
def test_no_network_of_its_own(mode: str) -> None:
    """Nothing is asked for; ports stay, for the engine takes and ignores them."""
    old = container(
        config={"Hostname": "vm", "MacAddress": MAC},
        host={"NetworkMode": mode, "PortBindings": {"80/tcp": [{"HostPort": "80"}]}},
        networks={mode: {"NetworkID": "1" * 64}},
    )
    made = again(old)
    assert (endpoints(made), made.networks) == (None, ())
    assert "MacAddress" not in made.config
    assert made.config["Hostname"] == "vm"
    assert made.config["HostConfig"] == old["HostConfig"]


def test_the_network_of_another_container() -> None:
    """What the engine reports of the other one, and would refuse, is left out; the reference stays as it is."""
    old = container(
        config={
            "Hostname": "vpn",
            "Domainname": "lan",
            "MacAddress": MAC,
            "ExposedPorts": {"80/tcp": {}},
        },
        host={
            "NetworkMode": "container:vpn",
            "PortBindings": {"80/tcp": None},
            "PublishAllPorts": True,
            "Links": ["/db:/web/db"],
            "Dns": [],
        },
        networks={},
    )
    made = again(old)
    assert made.config == {
        "Image": "paper:2",
        "Labels": {},
        "Env": ["TZ=UTC"],
        "HostConfig": {"NetworkMode": "container:vpn", "Dns": []},
    }


# --- Podman


def test_podman() -> None:
    """It takes a CPU limit in one way only, and no swappiness."""
    host = {"NanoCpus": 1_500_000_000, "CpuPeriod": 0, "CpuQuota": 0, "MemorySwappiness": 0}
    made = again(container(host=host), is_podman=True).config["HostConfig"]
    assert made == {"NetworkMode": "default", "CpuPeriod": 100_000, "CpuQuota": 150_000}
    assert again(container(host=host)).config["HostConfig"] == {"NetworkMode": "default", **host}


def test_podman_without_a_limit() -> None:
    """What else limits the CPU stays."""
    host = {"NanoCpus": 0, "CpuPeriod": 50_000, "CpuQuota": 10_000}
    made = again(container(host=host), is_podman=True).config["HostConfig"]
    assert (made["CpuPeriod"], made["CpuQuota"]) == (50_000, 10_000)


def test_podmans_network_has_its_own_name() -> None:
    """The mode says "bridge" whatever the network."""
    old = container(host={"NetworkMode": "bridge"}, networks={"podman": {"Aliases": [SHORT]}})
    made = again(old, is_podman=True)
    assert made.config["HostConfig"]["NetworkMode"] == "podman"
    assert endpoints(made) == {"podman": {}}


@pytest.mark.parametrize(
    ("inspected", "is_one"),
    [
        ({"HostConfig": {"AutoRemove": True}}, True),
        ({"HostConfig": {"AutoRemove": False}}, False),
        ({"HostConfig": None}, False),
        ({}, False),
    ],
)
def test_containers_that_go_when_they_stop(inspected: Json, is_one: bool) -> None:
    """`docker run --rm`."""
    assert is_auto_remove(inspected) is is_one


# --- Whatever it is


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=4), st.just([])
)
UNKNOWN = st.dictionaries(st.sampled_from(["New1", "New2", "Memory", "Tty", "Dns"]), VALUES)


@given(UNKNOWN, UNKNOWN, st.sampled_from([OLD_API, NEW_API, NEWEST_API]))
def test_nothing_is_forgotten(config: Json, host: Json, api: tuple[int, int]) -> None:
    """What we have never heard of is asked for as it was."""
    made = again(container(config=config, host=host), api=api).config
    assert {key: made[key] for key in config} == config
    assert {key: made["HostConfig"][key] for key in host} == host


ABSENT = st.sampled_from(
    ["Config", "HostConfig", "NetworkSettings", "Mounts", "Labels", "Env", "Networks", "Binds"]
)


@given(st.sets(ABSENT), st.sampled_from([OLD_API, NEW_API]))
def test_what_the_engine_leaves_out(absent: set[str], api: tuple[int, int]) -> None:
    """It writes null for much that is empty."""
    old: Json = container(config={"Labels": {}}, host={"Binds": []})
    for table in (old, old["Config"], old["HostConfig"], old["NetworkSettings"]):
        table.update(dict.fromkeys(absent & table.keys()))
    made = again(old, api=api)
    assert made.config["Image"] == "paper:2"
    assert made.networks == ()
