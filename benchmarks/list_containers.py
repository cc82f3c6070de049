"""What one `list_containers` costs the agent: `python -m benchmarks.list_containers [CONTAINERS]`.

CPU of this process, the best of several rounds. The measure is a plain JSON round trip of the engine's own list: what
any agent pays that decodes it and sends it on.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any, cast

from agent.clock import utcnow
from agent.core import replies
from agent.features.inspections import Inspections
from agent.features.inventory import SETTLE_S, Inventory, Nothing
from agent.ports import Engine, Json

ROUNDS = 20
IMAGES = 60


class StaticEngine:
    """Answers with realistic objects, decoded anew each time as from the wire, and without a delay."""

    def __init__(self, count: int) -> None:
        self.listed = json.dumps([_listed(number) for number in range(count)]).encode()
        self._inspected = {
            item["Id"]: json.dumps(_inspected(item)).encode() for item in json.loads(self.listed)
        }

    async def containers(self, *, deadline_s: float) -> list[Json]:
        listed: list[Json] = json.loads(self.listed)
        return listed

    async def inspect_container(self, container: str, *, deadline_s: float) -> Json:
        inspected: Json = json.loads(self._inspected[container])
        return inspected

    async def inspect_image(self, image: str, *, deadline_s: float) -> Json:
        return {"Id": image, "RepoDigests": [f"registry.lan:5000/paper@{image}"]}


def main(count: int) -> None:
    engine = StaticEngine(count)
    plain_ms = _best_ms(lambda: replies.response("c0ffee", json.loads(engine.listed), utcnow()))
    cold_ms, warm_ms, kept_ms, reply_bytes = asyncio.run(_measure(engine))
    lines = [f"{count} containers, a reply of {reply_bytes / 1e6:.2f} MB"]
    costs = {
        "plain round trip": plain_ms,
        "after an outage": cold_ms,
        "after an event": warm_ms,
        "nothing happened": kept_ms,
    }
    for name, cost_ms in costs.items():
        lines.append(f"{name:18} {cost_ms:8.2f} ms {cost_ms / plain_ms:6.2f} x")
    print("\n".join(lines))  # noqa: T201  printing is what a benchmark is for


async def _measure(engine: StaticEngine) -> tuple[float, float, float, int]:
    needed = cast(Engine, engine)  # the list needs no more of an engine than this
    inspections = Inspections(needed)
    inventory = Inventory(needed, inspections)
    handler = inventory.handler()
    cold_ms: list[float] = []
    warm_ms: list[float] = []
    kept_ms: list[float] = []
    reply = b""

    async def answer(costs_ms: list[float]) -> None:
        nonlocal reply
        began_s = time.process_time()
        payload = await handler.run(Nothing(), "c0ffee")
        reply = replies.response("c0ffee", payload, utcnow())
        costs_ms.append((time.process_time() - began_s) * 1e3)

    for _ in range(ROUNDS):
        inspections.events_were_missed()
        inventory.engine_came_back()
        await answer(cold_ms)
        await answer(warm_ms)
    await asyncio.sleep(SETTLE_S)
    await answer(warm_ms)
    for _ in range(ROUNDS):
        await answer(kept_ms)
    return min(cold_ms), min(warm_ms), min(kept_ms), len(reply)


def _best_ms(work: Callable[[], Any]) -> float:
    costs_ms = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        work()
        costs_ms.append((time.process_time() - began_s) * 1e3)
    return min(costs_ms)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _listed(number: int) -> Json:
    project = f"project{number // 4}"
    return {
        "Id": _sha256(f"container {number}"),
        "Names": [f"/{project}-service{number % 4}-1"],
        "Image": f"registry.lan:5000/paper{number % IMAGES}:2.4",
        "ImageID": f"sha256:{_sha256(f'image {number % IMAGES}')}",
        "Command": "/usr/bin/tini -- /init",
        "Created": 1_893_456_000 + number,
        "Ports": [
            {"IP": address, "PrivatePort": 8000, "PublicPort": 8000 + number, "Type": "tcp"}
            for address in ("0.0.0.0", "::")  # noqa: S104  published ports as the engine lists them
        ],
        "Labels": {
            "com.docker.compose.config-hash": _sha256(project),
            "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.project": project,
            "com.docker.compose.project.config_files": f"/srv/{project}/compose.yaml",
            "com.docker.compose.project.working_dir": f"/srv/{project}",
            "com.docker.compose.service": f"service{number % 4}",
            "com.docker.compose.version": "2.40.3",
            "org.opencontainers.image.source": "https://git.lan/paper/paper",
            "org.opencontainers.image.version": "2.4.1",
        },
        "State": "running",
        "Status": "Up 3 hours (healthy)",
        "HostConfig": {"NetworkMode": f"{project}_default"},
        "NetworkSettings": {
            "Networks": {
                f"{project}_default": {
                    "IPAMConfig": None,
                    "Links": None,
                    "Aliases": None,
                    "NetworkID": _sha256(f"network {project}"),
                    "EndpointID": _sha256(f"endpoint {number}"),
                    "Gateway": "172.22.0.1",
                    "IPAddress": f"172.22.{number // 250}.{number % 250 + 2}",
                    "IPPrefixLen": 16,
                    "IPv6Gateway": "",
                    "GlobalIPv6Address": "",
                    "GlobalIPv6PrefixLen": 0,
                    "MacAddress": "02:42:ac:16:00:03",
                    "DriverOpts": None,
                }
            }
        },
        "Mounts": [
            {
                "Type": "bind",
                "Source": f"/srv/{project}/data",
                "Destination": "/data",
                "Mode": "rw",
                "RW": True,
                "Propagation": "rprivate",
            }
        ],
    }


def _inspected(listed: Json) -> Json:
    env = [f"SETTING_{number}=value of setting {number}" for number in range(15)]
    return {
        "Id": listed["Id"],
        "Name": listed["Names"][0],
        "State": {"Status": "running", "Running": True, "StartedAt": "2031-05-04T00:00:01.5Z"},
        "Config": {"Image": listed["Image"], "Env": ["TZ=UTC", *env], "Labels": listed["Labels"]},
        "HostConfig": {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}},
        "Mounts": listed["Mounts"],
        "NetworkSettings": listed["NetworkSettings"],
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
