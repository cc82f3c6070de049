"""Verification in a child process: its memory goes with it, and if it dies, the release does not verify."""

from __future__ import annotations

import os
import select
import signal
import time

from agent.launcher import root_keys
from agent.launcher.record import Record
from agent.launcher.small_json import canonical, read
from agent.launcher.verdict import Verdict

DEADLINE_S = 30.0
"""Reading 30 MB takes 30 ms; a disk that needs a thousand times as long is none to run from."""

MAX_ANSWER_BYTES = 16 * 1024


class Inspection(Record):
    """Verifies releases with the root keys of an installation.

    Args:
        keys_dir: Directory of the *.pub files.
    """

    keys_dir: str
    deadline_s: float = DEADLINE_S

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
        try:
            answer = _all_from(receiver, time.monotonic() + self.deadline_s)
        finally:
            os.close(receiver)
            _end(pid)
        if answer is None:
            return Verdict(why=f"it could not be read within {self.deadline_s:g} s")
        return _verdict(answer)


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
    """What is written until the other end is closed; None if that takes too long."""
    parts: list[bytes] = []
    poller = select.poll()
    poller.register(receiver, select.POLLIN)
    while True:
        left_s = until_s - time.monotonic()
        if left_s <= 0 or not poller.poll(left_s * 1000):
            if left_s <= 0:
                return None
            continue
        part = os.read(receiver, MAX_ANSWER_BYTES)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)  # it has answered, or will not
    os.waitpid(pid, 0)


def _verdict(answer: bytes) -> Verdict:
    try:
        found = read(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return Verdict(why="its verification died")
    reads = found.pop("reads", [])
    return Verdict(**found, reads=tuple(reads))  # type: ignore[arg-type]  # our own writing
