"""Installing the one file: below a directory that stands for the host, and step by step with a host that is told."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from installer.conftest import Publisher

from agent.installer import InstallError, files, system
from agent.installer.places import Places
from agent.installer.steps import install, uninstall
from agent.installer.unit import unit
from agent.launcher import inspection, watch
from agent.launcher.machine import this_machine
from agent.launcher.root_keys import load
from agent.launcher.verify import verify
from agent.release.packing import native_file

A_SLOW_DISK_S = 15.0
"""For a state to be written, and slots to be removed."""

FAULTS = Path(__file__).parents[1] / "fakes" / "faults.py"
PYTHON = Path("/usr/bin/python3.11")


class ToldHost:
    """A host that does nothing and remembers what it was told."""

    def __init__(self, *, runs: bool = False) -> None:
        self.told: list[str] = []
        self._runs = runs

    def demand(self) -> None:
        self.told.append("demand")

    def make_user(self, data: Path) -> None:
        self.told.append(f"make user of {data}")

    def runs(self) -> bool:
        return self._runs

    def start(self) -> None:
        self.told.append("start")

    def reload(self) -> None:
        self.told.append("reload")

    def stop(self) -> None:
        self.told.append("stop")

    def remove_user(self) -> None:
        self.told.append("remove user")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(staged_in=tmp_path / "host")


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("t0k-en\n")
    return path


def ran(file: Path, *words: str | Path, **environ: str) -> tuple[int, str, str]:
    """(status, standard output, standard error) of `python3 FILE WORDS`, with nothing but the standard library."""
    ended = subprocess.run(
        (sys.executable, "-I", "-S", str(file), *map(str, words)),
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environ},
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


def installed(file: Path, places: Places, **more: object) -> ToldHost:
    host = ToldHost()
    options: dict[str, object] = {"python": PYTHON, "url": None, "token_file": None, "start": True}
    install(file, places, host, lambda _: None, **options | more)  # type: ignore[arg-type] # options by name
    return host


def version_at(places: Places) -> str:
    """Of the installation that is in its place, complete and signed; it is where nothing else is."""
    root = places.on_disk(places.root)
    assert files.is_installation(root)
    assert (root / "launcher" / "agent" / "launcher" / "main.py").is_file()
    keys, _ = load(str(root / "keys"))
    verdict = verify(str(root / "release"), this_machine(), root_keys=keys)
    assert verdict.is_good
    return verdict.version


def beside_it(places: Places) -> list[Path]:
    """What else is in the directory of the installation: what its link leads to."""
    root = places.on_disk(places.root)
    return [path for path in root.parent.iterdir() if path != root]


# --- What is written


def test_everything_in_its_place(publisher: Publisher, places: Places, token: Path) -> None:
    """Files only, by the file itself; the settings for root alone; the release verifies where it is."""
    file = publisher.publish("3.1.0")
    assert places.staged_in is not None
    words = ("--staged-in", places.staged_in, "--url", "https://d.example", "--token-file", token)
    status, said, error = ran(file, "install", *words)
    assert (status, error) == (0, "")
    assert "release 3.1.0" in said
    assert "t0k-en" not in said
    settings, root = places.on_disk(places.settings_file), places.on_disk(places.root)
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert {"DOCKMON_URL=https://d.example", "REGISTRATION_TOKEN=t0k-en"} <= {
        *settings.read_text().splitlines()
    }
    assert version_at(places) == "3.1.0"
    assert root.is_symlink()
    assert len(beside_it(places)) == 1


def test_the_unit_is_sound(places: Places, tmp_path: Path) -> None:
    """systemd reads it without a complaint, whether systemd makes the data directory or not."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    for data in (places.data, tmp_path / "data"):
        path = tmp_path / "dockmon-agent.service"
        path.write_text(unit(Places(root=tmp_path, data=data), Path(sys.executable).resolve()))
        ended = subprocess.run(
            ("systemd-analyze", "verify", str(path)),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert "dockmon-agent.service:" not in ended.stderr


def test_what_the_unit_promises(places: Places) -> None:
    """It always comes back, and the agent gets no more than it needs."""
    lines = unit(places, PYTHON).splitlines()
    for line in (
        "ExecStart=/usr/bin/python3.11 -I -S -B /opt/dockmon-agent/launcher",
        *(
            "Type=notify",
            "NotifyAccess=main",
            "Restart=always",
            "RestartSec=1",
            "RestartPreventExitStatus=78",
        ),
        *("StartLimitIntervalSec=0", "KillMode=control-group", "StateDirectory=dockmon-agent"),
        *("User=dockmon-agent", "SupplementaryGroups=docker", "ProtectSystem=strict"),
        "NoNewPrivileges=yes",
    ):
        assert line in lines
    elsewhere = unit(Places(data=Path("/srv/agent")), PYTHON).splitlines()
    assert "ReadWritePaths=/srv/agent" in elsewhere


def test_the_units_patience(places: Places) -> None:
    """systemd waits longer than the launcher may be silent, take to start, or take to stop; and we for systemd."""
    promised = dict(line.split("=", 1) for line in unit(places, PYTHON).splitlines() if "=" in line)
    watchdog_s, start_s, stop_s = (
        float(promised[name]) for name in ("WatchdogSec", "TimeoutStartSec", "TimeoutStopSec")
    )
    silent_s = watchdog_s / 2 + inspection.END_S  # it may have been about to give a sign of life
    assert watchdog_s > silent_s + A_SLOW_DISK_S
    verified_s = inspection.DEADLINE_S + inspection.END_S
    assert start_s > inspection.MAX_RELEASES * verified_s + A_SLOW_DISK_S
    assert stop_s > watch.DEFAULT.grace_s + watch.DEFAULT.gone_s
    assert start_s + stop_s < system.DEADLINE_S


# --- Step by step


def test_a_python_that_the_service_cannot_reach(publisher: Publisher, tmp_path: Path) -> None:
    """It is refused before anything is written."""
    here = Places(tmp_path / "opt" / "agent", tmp_path / "data")
    host = ToldHost()
    with pytest.raises(InstallError, match="/usr/bin/python3"):
        install(
            *(publisher.publish("3.1.0"), here, host, lambda _: None),
            python=Path("/root/bin/python3"), url=None, token_file=None, start=True,
        )  # fmt: skip
    assert host.told == ["demand"]
    assert not here.root.exists()


@pytest.mark.parametrize("start", [True, False])
def test_nothing_is_started_while_it_runs(
    publisher: Publisher, places: Places, *, start: bool
) -> None:
    """A service that went on would go on with other files under it: it is refused before anything is written.

    Be it that nothing is to be started, or that there are no settings to start it with.
    """
    host = ToldHost(runs=True)
    with pytest.raises(InstallError, match="systemctl stop dockmon-agent"):
        install(
            *(publisher.publish("3.1.0"), places, host, lambda _: None),
            python=PYTHON, url=None, token_file=None, start=start,
        )  # fmt: skip
    assert host.told == ["demand"]
    assert not places.on_disk(places.root).exists()


def test_settings_are_the_operators(publisher: Publisher, places: Places, token: Path) -> None:
    """Those that are there stay, whatever is given."""
    settings = places.on_disk(places.settings_file)
    settings.parent.mkdir(parents=True)
    settings.write_text("DOCKMON_URL=https://mine\n")
    installed(publisher.publish("3.1.0"), places, url="https://other", token_file=token)
    assert settings.read_text() == "DOCKMON_URL=https://mine\n"


def test_settings_that_are_not_given(publisher: Publisher, places: Places) -> None:
    """They are left to be filled in."""
    installed(publisher.publish("3.1.0"), places)
    lines = places.on_disk(places.settings_file).read_text().splitlines()
    assert {"#DOCKMON_URL=", "#REGISTRATION_TOKEN="} <= {*lines}


@pytest.mark.parametrize(
    ("url", "token", "why"),
    [
        ("https://x y", "t", "--url is no address"),
        ("https://x\nUser=root", "t", "--url is no address"),
        ("https://x", "two words", "holds no token"),
        ("https://x", "", "holds no token"),
        ("https://x", None, "cannot be read"),
    ],
)
def test_settings_that_are_none(
    publisher: Publisher, places: Places, tmp_path: Path, url: str, token: str | None, why: str
) -> None:
    """They are refused, and a token is not repeated."""
    path = tmp_path / "given"
    if token is not None:
        path.write_text(token)
    with pytest.raises(InstallError, match=why) as refused:
        installed(publisher.publish("3.1.0"), places, url=url, token_file=path)
    assert "two words" not in str(refused.value)
    assert not places.on_disk(places.settings_file).exists()


@pytest.mark.parametrize(
    ("state", "runs"),
    [
        ("active", True),
        ("activating", True),
        ("deactivating", True),
        ("inactive", False),
        ("failed", False),
    ],
)
def test_whether_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, *, runs: bool
) -> None:
    """systemd says so, be it that the service is about to be started once more."""
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\n[ "$1 $4" = "show dockmon-agent" ] && echo {state}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert system.LinuxHost().runs() is runs


# --- Again


def test_a_new_version_replaces_the_old(publisher: Publisher, places: Places) -> None:
    """As a whole: nothing of the old one is left."""
    installed(publisher.publish("3.1.0"), places)
    root = places.on_disk(places.root)
    (root / "left-over").touch()
    installed(publisher.publish("3.2.0"), places)
    assert sorted(path.name for path in root.iterdir()) == ["keys", "launcher", "release"]
    assert version_at(places) == "3.2.0"
    assert len(beside_it(places)) == 1


def test_another_publisher(publisher: Publisher, places: Places, tmp_path: Path) -> None:
    """The keys that are here decide, whatever keys the new file brings; the old version stays."""
    installed(publisher.publish("3.1.0"), places)
    other = Publisher(tmp_path / "other")
    with pytest.raises(InstallError, match=r"none of the root keys here.*uninstall first"):
        installed(other.publish("6.6.6"), places)
    assert version_at(places) == "3.1.0"
    assert len(beside_it(places)) == 1


CUT_OFF = [
    ("install.begun", 1, "3.1.0"),
    ("install.unpacked", 1, "3.1.0"),
    ("install.unpacked", 3, "3.1.0"),
    ("install.synced", 1, "3.1.0"),
    ("install.linked", 1, "3.1.0"),
    ("install.replaced", 1, "3.2.0"),
    ("install.made_durable", 1, "3.2.0"),
    ("install.cleared", 1, "3.2.0"),
]
"""Moment, its how manieth time, and the version that is complete in its place then."""


def test_every_moment_has_a_row() -> None:
    """A new step of the replacement is marked, and somebody is cut off there."""
    source = Path(files.__file__).read_text()
    assert {moment for moment, *_ in CUT_OFF} == {*re.findall(r'fault\("(.+?)"\)', source)}


@pytest.mark.parametrize("what", ["kill", "fail"])
@pytest.mark.parametrize(("moment", "nth", "version"), CUT_OFF)
def test_cut_off_while_it_replaces(
    publisher: Publisher,
    places: Places,
    tmp_path: Path,
    moment: str,
    nth: int,
    version: str,
    what: str,
) -> None:
    """By a kill or by a bad disk: a complete one is in its place, and the next one leaves nothing of this one."""
    installed(publisher.publish("3.1.0"), places)
    faults = {"agent/faults.py": FAULTS.read_bytes()}
    file = rewritten(publisher.publish("3.2.0"), change=faults)
    status, _, error = ran(
        *(file, "install", "--staged-in", places.on_disk(Path("/"))),
        FAULT_AT=f"{moment}:{nth}",
        FAULT_DO=what,
        FAULT_DIR=str(tmp_path),
    )
    assert status == (-signal.SIGKILL if what == "kill" else 1)
    assert what == "kill" or "install again" in error
    assert version_at(places) == version
    installed(publisher.publish("3.3.0"), places)
    assert version_at(places) == "3.3.0"
    assert len(beside_it(places)) == 1


def test_a_directory_becomes_a_link(publisher: Publisher, places: Places) -> None:
    """An installation that somebody copied, links followed, is replaced like any other."""
    installed(publisher.publish("3.1.0"), places)
    root = places.on_disk(places.root)
    copy = shutil.copytree(root, root.with_name("copy"))
    uninstall(places, ToldHost(), lambda _: None, purge=False)
    copy.rename(root)
    installed(publisher.publish("3.2.0"), places)
    assert version_at(places) == "3.2.0"
    assert len(beside_it(places)) == 1


def test_a_directory_that_was_set_aside(
    publisher: Publisher, places: Places, tmp_path: Path
) -> None:
    """By an installation that was cut off just then: its keys decide as before, and the next one replaces it."""
    installed(publisher.publish("3.1.0"), places)
    root = places.on_disk(places.root)
    shutil.copytree(root, root.with_name(f".{root.name}.old"))
    root.unlink()
    with pytest.raises(InstallError, match="none of the root keys here"):
        installed(Publisher(tmp_path / "other").publish("6.6.6"), places)
    assert version_at(places) == "3.1.0"
    installed(publisher.publish("3.2.0"), places)
    assert len(beside_it(places)) == 1


def test_a_directory_of_something_else(publisher: Publisher, places: Places) -> None:
    """It is neither replaced nor removed."""
    root = places.on_disk(places.root)
    root.mkdir(parents=True)
    (root / "precious").touch()
    with pytest.raises(InstallError, match="holds something else"):
        installed(publisher.publish("3.1.0"), places)
    with pytest.raises(InstallError, match="nothing was removed"):
        uninstall(places, ToldHost(), lambda _: None, purge=True)
    assert (root / "precious").exists()


# --- What is refused


def rewritten(file: Path, *, without: str = "", change: dict[str, bytes] | None = None) -> Path:
    """The file with something else in it."""
    target = file.with_name("changed.pyz")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            if entry.filename != without:
                content = (change or {}).get(entry.filename, old.read(entry))
                new.writestr(entry.filename, content)
    return target


def test_no_signature(publisher: Publisher, places: Places) -> None:
    """Nothing is installed that nobody vouches for."""
    file = rewritten(publisher.publish("3.1.0"), without="release/manifest.sig")
    with pytest.raises(InstallError, match="it is not signed"):
        installed(file, places)
    assert not places.on_disk(places.root).exists()


def test_no_keys(publisher: Publisher, places: Places) -> None:
    """Nor what brings no keys to see that by."""
    file = rewritten(publisher.publish("3.1.0"), change={"keys/root.pub": b"none"})
    with pytest.raises(InstallError, match="none of the root keys"):
        installed(file, places)


def test_a_changed_file(publisher: Publisher, places: Places) -> None:
    """One byte in one file of it."""
    file = rewritten(publisher.publish("3.1.0"), change={"release/start.py": b"print('stbrted')\n"})
    with pytest.raises(InstallError, match=r"start\.py is not what its manifest says"):
        installed(file, places)


def test_a_broken_download(publisher: Publisher, places: Places) -> None:
    """Half of it is none."""
    file = publisher.publish("3.1.0")
    half = file.with_name("half.pyz")
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InstallError, match="compare its SHA-256"):
        installed(half, places)


def test_another_python(publisher: Publisher, places: Places) -> None:
    """The file for it has to be taken."""
    release = publisher.release("3.1.0")
    manifest = release / "manifest.json"
    soabi = this_machine().python.encode()
    document = manifest.read_bytes().replace(soabi, b"cpython-399-x86_64-linux-gnu")
    manifest.write_bytes(document)
    publisher.ceremony.sign(release)
    file = native_file(release, publisher.ceremony.trusted, release.with_name("other.pyz"))
    with pytest.raises(InstallError, match=r"needs Python cpython-399.*architecture and Python"):
        installed(file, places)


def test_an_old_python(publisher: Publisher) -> None:
    """It can say that it is too old: what is run first is written for any."""
    script = (
        "import runpy, sys; sys.version_info = (3, 9, 2); sys.version = '3.9.2 (old)';"
        "sys.path.insert(0, sys.argv[1]); runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    ended = subprocess.run(
        (sys.executable, "-c", script, str(publisher.publish("3.1.0"))),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == "dockmon-agent: this takes Python 3.11 or newer, and this is 3.9.2\n"


def test_without_root(publisher: Publisher) -> None:
    """It says what to do, in one line."""
    file = publisher.publish("3.1.0")
    script = (
        "import os, sys; os.geteuid = lambda: 1000; from agent.installer.main import main;"
        "from pathlib import Path; main(Path(sys.argv[1]), ['install'])"
    )
    ended = subprocess.run(
        (sys.executable, "-c", script, str(file)),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (
        1,
        "dockmon-agent: this takes root: run it with sudo\n",
    )


@pytest.mark.parametrize("words", [("--root", "relative"), ("--root", "/"), ("--data", "/a b")])
def test_bad_directories(publisher: Publisher, words: tuple[str, ...]) -> None:
    """The usual status for a bad command line."""
    assert ran(publisher.publish("3.1.0"), "install", *words)[0] == 2


# --- Uninstalling


def test_uninstall(publisher: Publisher, places: Places) -> None:
    """Settings and data are kept; the service is stopped before its files go."""
    installed(publisher.publish("3.1.0"), places)
    host = ToldHost()
    uninstall(places, host, lambda _: None, purge=False)
    assert host.told == ["demand", "stop", "reload"]
    assert list(places.on_disk(places.root).parent.iterdir()) == []
    assert not places.on_disk(places.unit_file).exists()
    assert places.on_disk(places.settings_file).exists()


def test_purge(publisher: Publisher, places: Places) -> None:
    """Everything goes, and twice is as good as once."""
    installed(publisher.publish("3.1.0"), places)
    places.on_disk(places.data).mkdir(parents=True)
    for _ in range(2):
        uninstall(places, ToldHost(), lambda _: None, purge=True)
    assert not places.on_disk(places.data).exists()
    assert not places.on_disk(places.settings_file).exists()
