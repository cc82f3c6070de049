"""An installation in a directory of its own, and the processes that run from it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.releases import Release, Signer, raw_public

REPOSITORY = Path(__file__).parents[2]
FAULTS = REPOSITORY / "tests" / "fakes" / "faults.py"
DEADLINE_S = 20.0

MAIN = """\
from agent.launcher.main import main
from agent.launcher.watch import Limits

main(__file__, Limits({limits}), drops_root=False)
"""


class Gone(Exception):
    """The launcher ended while something was awaited of it."""


class Running:
    """A fake release that has connected to the test. `hello` is how it was started."""

    def __init__(self, connection: socket.socket, launcher: Launcher) -> None:
        self._socket, self._launcher, self._rest = connection, launcher, b""
        self.hello = self.hear()

    def __getitem__(self, name: str) -> Any:
        return self.hello[name]

    def tell(self, **order: object) -> None:
        try:
            self._socket.sendall(json.dumps(order).encode())
        except OSError as error:
            raise Gone from error

    def asked(self, **order: object) -> dict[str, Any]:
        self.tell(**order)
        return self.hear()

    def says(self, say: str, **fields: object) -> dict[str, Any]:
        return self.asked(say={"say": say, **fields})

    def hear(self) -> dict[str, Any]:
        while b"\n" not in self._rest:
            self._launcher.wait_for(self._socket)
            try:
                data = self._socket.recv(2**20)
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def wait_end(self) -> None:
        """Until it has ended."""
        self._launcher.wait_for(self._socket)
        assert self._socket.recv(1) == b""

    def close(self) -> None:
        self._socket.close()


class Launcher:
    """A launcher's process, with what it says in `log`."""

    def __init__(self, room: Room, line: list[str], environ: Mapping[str, str]) -> None:
        self._room = room
        self._log = room.path / f"log-{len(room.launchers)}"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(line, env=dict(environ), stderr=log)
        self._ended = os.pidfd_open(self.process.pid)
        self._running: list[Running] = []

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def wait_for(self, readable: socket.socket) -> None:
        """Until it can be read, or Gone."""
        ready, _, _ = select.select([readable.fileno(), self._ended], [], [], DEADLINE_S)
        if not ready:
            raise AssertionError(f"nothing came; the launcher said:\n{self.log}")
        if readable.fileno() not in ready:
            # What was said before the end is still heard.
            ready, _, _ = select.select([readable.fileno()], [], [], 0.2)
            if not ready:
                raise Gone(self.log)

    def next(self) -> Running:
        """The release that it starts next."""
        self.wait_for(self._room.ear)
        connection, _ = self._room.ear.accept()
        running = Running(connection, self)
        self._running.append(running)
        return running

    def ends(self, *, within_s: float = DEADLINE_S) -> int:
        return self.process.wait(within_s)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.ends()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ended)
        while self._running:
            self._running.pop().close()


@dataclass
class Room:
    """ROOT, DATA_PATH and the keys in one directory; `close()` ends what runs in it."""

    path: Path
    signer: Signer
    limits: str = ""

    def __post_init__(self) -> None:
        self.launchers: list[Launcher] = []
        self.data = self.path / "data"
        self.update = self.data / "update"
        self.data.mkdir()
        self.root = self.path / "root"
        install(self.root, self.signer, limits=self.limits)
        self.ear = socket.socket(socket.AF_UNIX)
        self.ear.bind(str(self.path / "ear"))
        (self.path / "ear").chmod(0o777)
        self.ear.listen(16)

    def bake(self, release: Release) -> Release:
        """Makes it the image's release."""
        shutil.rmtree(self.root / "release", ignore_errors=True)
        release.put(self.root / "release", None)
        return release

    def store(self, release: Release, signer: Signer | None = None) -> Release:
        """Puts it on the volume as the agent would, before it asks for the switch."""
        slot = self.slot(release)
        shutil.rmtree(slot, ignore_errors=True)
        release.put(slot, signer or self.signer)
        return release

    def slot(self, release: Release) -> Path:
        return self.update / "slots" / release.build_id

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "DATA_PATH": str(self.data),
            "EAR": str(self.path / "ear"),
            "FAULT_DIR": str(self.path),
            "LOG_JSON": "false",
            **more,
        }

    def line(self, *words: str) -> list[str]:
        return [sys.executable, "-I", "-S", "-B", str(self.root / "launcher"), *words]

    def start(self, *, before: tuple[str, ...] = (), **environ: str) -> Launcher:
        """Args: `before` is a command that is to start it."""
        launcher = Launcher(self, [*before, *self.line()], self.environ(**environ))
        self.launchers.append(launcher)
        return launcher

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.update / "state.json").read_bytes())
        return found

    def slots(self) -> set[str]:
        return {path.name for path in (self.update / "slots").glob("*")}

    def left_over(self) -> list[str]:
        """What is on the volume and should not be."""
        state = self.state()
        trial = (state["trial"] or {}).get("build_id")
        named = {state["active"], state["fallback"], trial}
        found = [str(path) for path in self.update.glob("staging/*")]
        found += [str(path) for path in self.update.glob("*.tmp")]
        return found + [f"slot {name}" for name in self.slots() if name not in named]

    def close(self) -> None:
        while self.launchers:
            self.launchers.pop().close()
        self.ear.close()


def install(root: Path, signer: Signer, *, limits: str = "") -> None:
    """The launcher, with the moments at which it can be killed, and the key."""
    package = root / "launcher" / "agent"
    shutil.copytree(
        REPOSITORY / "agent" / "launcher",
        package / "launcher",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(REPOSITORY / "agent" / "__init__.py", package)
    shutil.copy(FAULTS, package / "faults.py")
    (root / "launcher" / "__main__.py").write_text(MAIN.format(limits=limits))
    (root / "keys").mkdir()
    (root / "keys" / "root.pub").write_text(raw_public(signer.root).hex() + "\n")


def switch(release: Release, **changes: object) -> dict[str, object]:
    """The fields of a request for it."""
    return {
        "build_id": release.build_id,
        "version": release.version,
        "command_id": "command-1",
        "command": "self_update",
        "deadline_s": 10,
        "needs_engine": True,
        **changes,
    }


def settled(room: Room, wanted: Any) -> None:
    """Until the state on the disk is as wanted: the launcher writes it after it has heard."""
    until_s = time.monotonic() + DEADLINE_S
    while not wanted(room.state()):
        if time.monotonic() > until_s:
            raise AssertionError(f"the state stayed {room.state()}")
        select.select([], [], [], 0.01)


def filled(directory: Path) -> Path:
    """A file that takes all the space that is left there."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return filler
    raise AssertionError("a file system without end")
