"""start.py of a fake release: connects to the test, tells it how it was started, and does what it is told."""

import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "plan.json"), encoding="utf-8") as file:
    plan = json.load(file)
if sys.argv[1:]:
    print(json.dumps({"version": plan["version"], "words": sys.argv[1:]}))
    sys.exit(0)

launcher = socket.socket(fileno=int(os.environ["DOCKMON_AGENT_LAUNCHER_FD"]))
launcher.set_inheritable(False)
test = socket.socket(socket.AF_UNIX)
test.connect(os.environ["EAR"])


def tell(**message: object) -> None:
    test.sendall(json.dumps(message).encode() + b"\n")


def state_of(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] if pid.isdigit() else ""
    except OSError:
        return ""


def act(order: dict[str, Any]) -> None:
    match order:
        case {"say": message}:
            launcher.sendall(json.dumps(message).encode() + b"\n")
            if message["say"] == "switch":
                answer = json.loads(launcher.recv(65536))
                tell(**answer)
                if answer["ok"] and not order.get("lingers"):
                    sys.exit(0)
            else:
                tell(done=True)
        case {"exit": status}:
            sys.exit(status)
        case {"signal": number}:
            os.kill(os.getpid(), number)
            time.sleep(60)
        case {"say_at_end": message}:

            def say_and_end(*_: object) -> None:
                launcher.sendall(json.dumps(message).encode() + b"\n")
                sys.exit(0)

            signal.signal(signal.SIGTERM, say_and_end)
        case {"deaf": True}:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            tell(done=True)
        case {"spin": True}:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                pass
        case {"orphan": True}:
            if os.fork() == 0:
                if os.fork() == 0:
                    time.sleep(0.05)
                os._exit(0)
            os.wait()
            tell(done=True)
        case {"processes": True}:
            tell(states=[s for s in map(state_of, os.listdir("/proc")) if s])


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
tell(
    version=plan["version"],
    pid=os.getpid(),
    ppid=os.getppid(),
    group=os.getpgid(0),
    uid=os.getuid(),
    groups=os.getgroups(),
    flags=[sys.flags.isolated, sys.flags.no_site, sys.flags.dont_write_bytecode],
    environ=dict(os.environ),
    launch=json.loads(os.environ["DOCKMON_AGENT_LAUNCH"]),
)
for order in plan["at_start"]:
    act(order)
while True:
    readable, _, _ = select.select([test, launcher], [], [])
    if launcher in readable and not launcher.recv(1, socket.MSG_PEEK):
        os._exit(9)  # without a launcher there is nobody to take it back
    if test in readable:
        line = test.recv(65536)
        if not line:
            os._exit(10)
        act(json.loads(line))
