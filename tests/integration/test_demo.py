"""The demo keeps its word: it plays to its end, loses nothing, and leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import secrets
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from agent.console import demo
from agent.console.throwaway import LABEL, Throwaway

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120
ALTERNATE_SCREEN, OWN_SCREEN = "\x1b[?1049h", "\x1b[?1049l"


@pytest.fixture(autouse=True)
def nothing_stays(docker_client: docker.APIClient) -> Iterator[None]:
    """No container, image or directory is there afterwards that was not there before."""
    before = traces(docker_client)
    yield
    assert traces(docker_client) - before == set()


def traces(client: docker.APIClient) -> set[str]:
    labelled = {"label": LABEL}
    return {
        *(container["Id"] for container in client.containers(all=True, filters=labelled)),
        *(image["Id"] for image in client.images(filters=labelled)),
        *map(str, Path(tempfile.gettempdir()).glob("dockmon-agent-demo-*")),
    }


def start(engine_url: str, *arguments: str, out: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agent", "demo", *arguments],
        cwd=ROOT,
        env={**os.environ, "DOCKER_HOST": engine_url, "TERM": "xterm-256color", "NO_COLOR": ""},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a signal for it is not for the tests
    )


def test_it_plays_to_its_end(engine_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every step, on the user's own engine; each event that it emitted reached the server."""
    status = demo.run({"DOCKER_HOST": engine_url}, seconds=None, plain=True)
    told = capsys.readouterr()
    assert (status, told.err) == (0, "")
    assert re.findall(r"demo +(\d)/9", told.out) == list("123456789")
    for words in (
        *("asks: start demo-", "asks: restart demo-", "asks: stop demo-", "→ backoff"),
        *("the page is healthy (status 200", "the page is unhealthy (status 503"),
        *("Linux is here", "at work: CPU", "has as many processes in demo-"),
        *("its health check fails", "has the very container again that it had"),
        "hears: updated, the container is",
    ):
        assert words in told.out
    counts = re.search(
        r"(\d+) emitted by the engine, (\d+) received by the server, 0 lost", told.out
    )
    assert counts is not None
    assert counts[1] == counts[2]
    # What the server asked for: start; die; start. The failed update: die; start, die, destroy; start.
    # The other: die; start; destroy. Unseen: die; start; die; start. Removed: die, destroy.
    assert int(counts[1]) >= 17
    assert re.search(r"reconnects +1,", told.out)
    is_deployed = all(f"hears: {action} succeeded" in told.out for action in ("up", "down"))
    assert is_deployed is not bool(re.search(r"skipped +Deploy: .*Compose", told.out))
    assert "\nNothing was lost.\n" in told.out


INTERRUPTIONS = (
    ("has a new container", signal.SIGTERM),
    ("types: while", signal.SIGINT),
    ("updates: Creating the new container", signal.SIGTERM),
    ("server  is gone", signal.SIGINT),
    ("asks: deploy demo-", signal.SIGTERM),
)
"""What is seen last, and the signal then."""


def test_a_signal_ends_it_cleanly(engine_url: str) -> None:
    """In the middle of whatever: it says so, clears away, and reports the signal. Five demos, side by side."""
    with ThreadPoolExecutor(len(INTERRUPTIONS)) as threads:
        ends = threads.map(lambda each: interrupted(engine_url, *each), INTERRUPTIONS)
    for (_, signum), (status, out, err) in zip(INTERRUPTIONS, ends, strict=True):
        assert (status, err) == (128 + signum, "")
        assert f"Interrupted by {signum.name}" in out
        assert "Nothing was lost until then." in out


def interrupted(engine_url: str, moment: str, signum: signal.Signals) -> tuple[int, str, str]:
    """The exit status of a demo that is interrupted at that moment, what it says from then on, and its errors."""
    with start(engine_url, "--plain") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if moment in line:
                process.send_signal(signum)
                break
        out, err = process.communicate(timeout=DEADLINE_S)
        return process.returncode, out, err


def test_it_ends_when_the_time_is_up(engine_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Far too little of it: it ends early, in good order, and that is no failure."""
    assert demo.run({"DOCKER_HOST": engine_url}, seconds=1.0, plain=True) == 0
    assert "The time was up in step 1 of 9. Nothing was lost until then." in capsys.readouterr().out


def test_on_a_terminal_it_draws(engine_url: str) -> None:
    """On a screen of its own, which is gone afterwards; the summary stays."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    with start(engine_url, out=slave) as process:
        os.close(slave)
        screen = read_until(master, "next try in")
        process.send_signal(signal.SIGINT)
        screen += read_until(master, None)
        os.close(master)
        _, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, err) == (128 + signal.SIGINT, "")
    drawn, after = screen.split(OWN_SCREEN)
    assert drawn.startswith(ALTERNATE_SCREEN)
    for words in ("await_retry", "What happens", "Containers on the server", " health_check "):
        assert words in drawn
    assert "Nothing was lost until then." in after


def read_until(terminal: int, words: str | None) -> str:
    """What is written to the terminal up to these words; None: until its last writer is gone."""
    written = b""
    while select.select([terminal], [], [], DEADLINE_S)[0]:
        try:
            written += os.read(terminal, 65536)
        except OSError:  # so Linux says that nobody has the other end any more
            break
        if words is not None and words.encode() in written:
            break
    return written.decode(errors="replace")


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("unix:///nowhere/docker.sock", 1, "There is no socket /nowhere/docker.sock"),
        ("tcp://127.0.0.1:1", 1, "Nobody listens at http://127.0.0.1:1"),
        ("ftp://x", 78, "not an address of an engine"),
    ],
)
def test_without_an_engine_it_says_so_in_one_line(
    url: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error that says what to do, and nothing else."""
    assert demo.run({"DOCKER_HOST": url}, seconds=5.0, plain=True) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("dockmon-agent demo: ")
    assert told.err.count("\n") == 1
    assert words in told.err


def test_an_image_that_is_there_is_used_and_stays(
    docker_client: docker.APIClient, busybox_image: str
) -> None:
    """Where our own busybox does not run, a container is made from an image that the engine has; only that goes."""
    tag = f"dmatest-{secrets.token_hex(4)}"
    docker_client.tag(busybox_image, "busybox", tag)
    try:
        throwaway = Throwaway(docker_client, secrets.token_hex(4))
        source = next(source for source in throwaway.sources() if source.is_ours is None)
        assert source.image.startswith("busybox:")
        throwaway.choose(source)
        throwaway.make()
        throwaway.start()
        throwaway.stop()
        assert docker_client.inspect_container(throwaway.id)["State"]["ExitCode"] == 0
        assert throwaway.remove_all() == []
        assert docker_client.images(source.image)
    finally:
        docker_client.remove_image(f"busybox:{tag}")
