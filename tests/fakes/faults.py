"""Put in the place of agent/faults.py in a tree under test: ends or holds the process at one of the marked moments.

FAULT_AT=name, or name:3 for its third time in this process; FAULT_DO=kill, fail or hold; FAULT_DIR, where a file named
after the moment says that it was reached. A held process goes on when that file is removed.
"""

from __future__ import annotations

import errno
import os
import signal
import time

_AT, _, _NTH = os.environ.get("FAULT_AT", "").partition(":")
_left = int(_NTH or 1)


def fault(name: str) -> None:
    """Does what FAULT_DO says, if this is the moment."""
    global _left
    if name != _AT:
        return
    _left -= 1
    if _left != 0:
        return
    marker = os.path.join(os.environ["FAULT_DIR"], name)
    with open(marker, "w", encoding="utf-8"):
        pass
    what = os.environ.get("FAULT_DO", "kill")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "fail":
        raise OSError(errno.EIO, os.strerror(errno.EIO), marker)
    while os.path.exists(marker):
        time.sleep(0.01)
