"""Real Docker engines for tests: the one a user's client would find, or one of a test's own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import docker

IMAGE = "dockmon-agent-test/busybox:latest"
LABEL = "dockmon-agent.test"
RUN_LABEL = "dockmon-agent.test.run"
NAME_PREFIX = "dmatest-"

IDLE = ("sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait")
"""Runs until it is stopped, and then ends at once with 0: a bare `sleep` as process 1 ignores TERM."""

PING_DEADLINE_S = 5
REQUEST_DEADLINE_S = 60
START_DEADLINE_S = 60  # a dockerd is ready after about a second; a busy machine takes ten
STOP_DEADLINE_S = 30  # dockerd itself gives its containers 15
KILL_DEADLINE_S = 10

_BUSYBOX = Path("/bin/busybox")


def connect(url: str) -> docker.APIClient:
    """A client of the engine at `url`, to be closed by the caller."""
    return docker.APIClient(base_url=url, version="auto", timeout=REQUEST_DEADLINE_S)


def candidate_urls() -> list[str]:
    """Where a user's client would look: `DOCKER_HOST` alone if it is set, else the default sockets."""
    if named := os.environ.get("DOCKER_HOST"):
        return [named]
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    return ["unix:///var/run/docker.sock", f"unix://{runtime_dir}/docker.sock"]


def answers(url: str) -> bool:
    """Tells whether an engine answers at `url` now."""
    if not url.startswith("unix://"):
        with (
            contextlib.suppress(docker.errors.DockerException),
            contextlib.closing(connect(url)) as client,
        ):
            return client.ping()
        return False
    # By hand, for docker's own connection leaves its socket to the garbage collector when nobody listens.
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PING_DEADLINE_S)
        try:
            connection.connect(url.removeprefix("unix://"))
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in connection.recv(64)
        except OSError:
            return False


def find_engine() -> str | None:
    """The URL of the first engine that answers, or None."""
    return next(filter(answers, candidate_urls()), None)


def engine_available() -> bool:
    return find_engine() is not None


def make_busybox_image(client: docker.APIClient, image: str = IMAGE) -> str:
    """Puts `image` on the engine: this machine's static busybox, or a pulled one where there is none.

    Returns:
        `image`. Its command is `IDLE`, its label `LABEL`.
    """
    repository, tag = image.split(":")
    if _is_static(_BUSYBOX):
        changes = [f"CMD {json.dumps(IDLE)}", f"LABEL {LABEL}=1"]
        client.import_image_from_data(busybox_root(), repository, tag, changes=changes)
        return image
    client.pull("busybox", tag="stable")
    # Committing a container that never ran is a build without a builder.
    base = client.create_container("busybox:stable", list(IDLE), labels={LABEL: "1"})
    try:
        client.commit(base, repository, tag)
    finally:
        client.remove_container(base, v=True, force=True)
    return image


def _is_static(program: Path) -> bool:
    # A dynamic program names its loader in its first page.
    return program.exists() and b"/ld-" not in program.read_bytes()[:4096]


def busybox_root() -> bytes:
    """A root file system with every applet in /bin, as a tar archive."""
    applets = subprocess.run(
        [_BUSYBOX, "--list"], capture_output=True, check=True, text=True, timeout=10
    ).stdout.split()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for directory in ("bin", "tmp"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755
            tar.addfile(entry)
        tar.add(_BUSYBOX.resolve(), "bin/busybox")
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
    return archive.getvalue()


class Container(NamedTuple):
    id: str
    name: str


class Containers:
    """Makes throwaway containers on one engine, and removes each of them and what was recreated from it."""

    def __init__(self, client: docker.APIClient, image: str = IMAGE) -> None:
        self._client = client
        self._image = image
        self.run_id = secrets.token_hex(4)

    def create(
        self,
        name: str = "container",
        command: Sequence[str] = IDLE,
        *,
        labels: Mapping[str, str] | None = None,
        host: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> Container:
        """Makes a container that does not run yet.

        Args:
            name: what tells it apart; a prefix and a random part come with it.
            host: arguments of `docker.APIClient.create_host_config`. Without `network_mode` it has no network.
            config: further arguments of `docker.APIClient.create_container`.
        """
        full_name = f"{NAME_PREFIX}{name}-{secrets.token_hex(4)}"
        created = self._client.create_container(
            **{"image": self._image, **config},
            command=list(command),
            name=full_name,
            labels={**(labels or {}), LABEL: "1", RUN_LABEL: self.run_id},
            host_config=self._client.create_host_config(**{"network_mode": "none", **(host or {})}),
        )
        return Container(created["Id"], full_name)

    def run(self, *args: Any, **kwargs: Any) -> Container:
        """`create`, started."""
        container = self.create(*args, **kwargs)
        self._client.start(container.id)
        return container

    def remove_all(self) -> None:
        mine = {"label": [f"{RUN_LABEL}={self.run_id}"]}
        for found in self._client.containers(all=True, filters=mine):
            # Gone since the list was made: a test's --rm container, or one being removed.
            with contextlib.suppress(docker.errors.NotFound):
                self._client.remove_container(found["Id"], v=True, force=True)


def remove_project(client: docker.APIClient, project: str) -> None:
    """Removes all that Compose made for `project`: containers, networks, volumes."""
    mine = {"label": [f"com.docker.compose.project={project}"]}
    for container in client.containers(all=True, filters=mine):
        client.remove_container(container["Id"], force=True, v=True)
    for network in client.networks(filters=mine):
        client.remove_network(network["Id"])
    for volume in client.volumes(filters=mine)["Volumes"] or ():
        client.remove_volume(volume["Name"])


class OwnEngine:
    """A dockerd that belongs to one test, which may stop, kill and start it again.

    It has no network but a loopback of its own, which is down: containers in it need `network_mode` "none" or "host".
    What it stores lasts from start to start and goes with `close`. `async with` starts it with `IMAGE` on it and closes
    it.
    """

    def __init__(self) -> None:
        # Right under /tmp: the path of a unix socket has 107 bytes at most, and containerd's are long.
        self.root = Path(tempfile.mkdtemp(prefix="dm", dir="/tmp"))
        self.socket = self.root / "s"
        self.url = f"unix://{self.socket}"
        self._log = self.root / "log"
        self._dockerd: asyncio.subprocess.Process | None = None

    @staticmethod
    def obstacle() -> str | None:
        """Why none can run here, or None."""
        if os.geteuid() != 0:
            return "an engine of one's own takes root"
        if shutil.which("dockerd") is None:
            return "an engine of one's own takes dockerd, which is not on PATH"
        return None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
            with contextlib.closing(connect(self.url)) as client:
                make_busybox_image(client)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def pid(self) -> int:
        """Of the dockerd that runs."""
        if self._dockerd is None:
            raise RuntimeError("this engine does not run")
        return self._dockerd.pid

    async def start(self) -> None:
        """Starts dockerd and returns when it answers.

        Raises:
            RuntimeError: it runs already, or it was not ready in time; the text ends with its log.
        """
        if self._dockerd is not None:
            raise RuntimeError("this engine runs already")
        notify = self.root / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as readiness:
            readiness.setblocking(False)
            readiness.bind(str(notify))
            try:
                self._dockerd = await self._spawn(notify)
                async with asyncio.timeout(START_DEADLINE_S):
                    while b"READY=1" not in await self._receive(readiness):
                        pass
            except TimeoutError:
                await self.kill()
                raise RuntimeError(
                    f"dockerd was not ready in {START_DEADLINE_S} s:\n{self._log_tail()}"
                ) from None
            finally:
                notify.unlink()

    async def stop(self) -> None:
        """Ends dockerd as its service manager does: its containers are stopped, its containerd goes along."""
        if self._dockerd is None:
            return
        self._dockerd.terminate()
        try:
            async with asyncio.timeout(STOP_DEADLINE_S):
                await self._dockerd.wait()
        except TimeoutError:
            await self.kill()
        self._dockerd = None

    async def kill(self) -> None:
        """Kills dockerd and its containerd; the containers run on under their shims."""
        if self._dockerd is None:
            return
        # dockerd first, for it would start its containerd again.
        if self._dockerd.returncode is None:
            self._dockerd.kill()
        await self._dockerd.wait()
        self._dockerd = None
        for pid in self._processes("containerd"):
            await _kill(pid)
        # The next dockerd believes these files: a containerd that init has not reaped yet counts as running, and is
        # waited for in vain.
        for pidfile in ("pid", "exec/containerd/containerd.pid"):
            (self.root / pidfile).unlink(missing_ok=True)

    async def cut_off(self) -> None:
        """Kills it with all its containers, as when their host loses power."""
        await self.kill()
        await self._kill_containers()

    async def close(self) -> None:
        """Stops it and removes all that it made: processes, mounts, control groups, files."""
        await self.stop()
        await self._kill_containers()
        for target in self._mounts():
            subprocess.run(["umount", target], check=True, timeout=KILL_DEADLINE_S)  # noqa: ASYNC221  local, at once
        self._remove_control_groups()
        if self.root.exists():  # closed twice is closed
            shutil.rmtree(self.root)

    async def _kill_containers(self) -> None:
        shims = self._processes("containerd-shim-runc-v2")
        for pid in (*(child for shim in shims for child in _children(shim)), *shims):
            await _kill(pid)

    async def _spawn(self, notify: Path) -> asyncio.subprocess.Process:
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                # In a network of its own: an engine without a bridge removes the one that another engine made.
                *("unshare", "--net"),
                *("dockerd", "--host", self.url, "--pidfile", self.root / "pid"),
                *("--data-root", self.root / "data", "--exec-root", self.root / "exec"),
                *("--bridge", "none", "--iptables=false"),
                env={**os.environ, "NOTIFY_SOCKET": str(notify)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the test; close() is for the engine
            )

    async def _receive(self, readiness: socket.socket) -> bytes:
        return await asyncio.get_running_loop().sock_recv(readiness, 4096)

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    def _processes(self, program: str) -> list[int]:
        """Running processes of `program` that were started for this engine, by its directory on their command line."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                command = (process / "cmdline").read_text(errors="replace").split("\0")
                if Path(command[0]).name == program and f"{self.root}/" in "\0".join(command):
                    found.append(int(process.name))
        return found

    def _mounts(self) -> list[str]:
        """Mount points under this engine's directory, the innermost first."""
        mounts = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
        return [target for target in mounts if target.startswith(f"{self.root}/")][::-1]

    def _remove_control_groups(self) -> None:
        # A killed shim leaves its container's, empty; whoever samples control groups would find it.
        for container in (self.root / "data/containers").glob("*"):
            for pattern in (f"docker/{container.name}", f"*/docker/{container.name}"):
                for group in Path("/sys/fs/cgroup").glob(pattern):
                    group.rmdir()


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:  # it ended meanwhile
        return []


async def _kill(pid: int) -> None:
    """Kills the process and returns when it has ended, whoever its parent is."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process, ended.set)
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)
        async with asyncio.timeout(KILL_DEADLINE_S):
            await ended.wait()
    finally:
        loop.remove_reader(process)
        os.close(process)
