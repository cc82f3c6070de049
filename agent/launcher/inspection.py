"""Verification in a child process: its memory goes with it, and if it dies, the release does not verify."""

from __future__ import annotations

import os
import select
import signal
import time

from agent.launcher import root_keys
from agent.launcher.notify import Notifier
from agent.launcher.record import Record
from agent.launcher.small_json import canonical, read
from agent.launcher.verdict import Verdict

DEADLINE_S = 30.0
"""Reading 30 MB takes 30 ms; a disk that needs a thousand times as long is none to run from."""

END_S = 10.0
"""For the child to be gone after SIGKILL. One that waits for a disk in the kernel may stay for ever; we do not."""

MAX_RELEASES = 4
"""How many may be verified before one is started: on trial, active, fallback, baked."""

_LOOK_S = 0.005

MAX_ANSWER_BYTES = 16 * 1024


class Inspection(Record):
    """Verifies releases with the root keys of an installation.

    Args:
        keys_dir: Directory of the *.pub files.
    """

    keys_dir: str
    deadline_s: float = DEADLINE_S
    end_s: float = END_S

    def of_baked(self, directory: str) -> Verdict:
        """The release that came with the image: whole, or not."""
        return self._in_child(directory, "", is_signed=False)

    def of_slot(self, directory: str, build_id: str) -> Verdict:
        """A release on the volume: whole, signed, and the one it is named after, or not."""
        return self._in_child(directory, build_id, is_signed=True)

    def _in_child(self, directory: str, name: str, *, is_signed: bool) -> Verdict:
        receiver, sender = os.pipe()
        pid = os.fork()
        if pid == 0:
            _answer(sender, directory, name, self.keys_dir if is_signed else None)
        os.close(sender)
        answer, is_gone = None, True
        try:
            answer = _all_from(receiver, time.monotonic() + self.deadline_s)
        finally:
            os.close(receiver)
            is_gone = _end(pid, self.end_s)
        if answer is not None:
            return _verdict(answer)
        why = f"it could not be read within {self.deadline_s:g} s"
        return Verdict(why=why if is_gone else f"{why}, and {_hangs(directory)}")


def _answer(sender: int, directory: str, name: str, keys_dir: str | None) -> None:
    """Runs in the child: verifies, says what came of it, and is gone."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        # Loaded here, so that OpenSSL's hashes are never in the launcher.
        from agent.launcher.machine import this_machine
        from agent.launcher.verify import verify

        keys = None if keys_dir is None else root_keys.load(keys_dir)[0]
        verdict = verify(directory, this_machine(), root_keys=keys, name=name)
        os.write(sender, canonical(verdict.but(why=verdict.why[:2000]).__dict__))
    # Whatever goes wrong here, the answer is that the release does not verify, and the reason goes to the log.
    except BaseException as error:
        os.write(sender, canonical({"why": f"it could not be verified: {error!r}"[:2000]}))
    finally:
        os._exit(0)


def _all_from(receiver: int, until_s: float) -> bytes | None:
    """What is written until the other end is closed; None if that takes too long.

    Meanwhile systemd is told that we live: it is a deadline of ours that is being waited for.
    """
    parts: list[bytes] = []
    notifier = Notifier(os.environ)
    poller = select.poll()
    poller.register(receiver, select.POLLIN)
    while (left_s := until_s - time.monotonic()) > 0:
        notifier.alive()
        if not poller.poll(min(left_s, notifier.every_s or left_s) * 1000):
            continue
        part = os.read(receiver, MAX_ANSWER_BYTES)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


def _end(pid: int, within_s: float) -> bool:
    """Kills it, for it has answered, or will not. False: it is still there, and is buried when it can be."""
    os.kill(pid, signal.SIGKILL)
    until_s = time.monotonic() + within_s
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() >= until_s:
            return False
        time.sleep(_LOOK_S)
    return True


def _hangs(directory: str) -> str:
    return (
        f"its reader hangs in the kernel: the disk or mount with {directory} does not answer (`dmesg` may say why); "
        "mend that, or restart the host"
    )


def _verdict(answer: bytes) -> Verdict:
    try:
        found = read(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return Verdict(why="its verification died")
    reads = found.pop("reads", [])
    return Verdict(**found, reads=tuple(reads))  # type: ignore[arg-type]  # our own writing
