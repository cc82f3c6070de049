"""The baseline, as agents are that ask the Engine API: a stream of statistics per container, a frame per sample.

`python -m benchmarks.api_collector SOCKET URL CERTIFICATE`: its containers' IDs come on standard input, a line each.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

_LINE_BYTES = 2**20


async def follow(socket: str, container: str, server: ClientConnection) -> None:
    """Until the engine ends the stream."""
    reader, writer = await asyncio.open_unix_connection(socket, limit=_LINE_BYTES)
    # In HTTP/1.0 nothing is cut into chunks: a line is a sample.
    writer.write(
        f"GET /containers/{container}/stats?stream=1 HTTP/1.0\r\nHost: engine\r\n\r\n".encode()
    )
    while line := await reader.readline():
        # Headers, and what is said of a container that is gone, are no samples.
        if line.startswith(b'{"read"'):
            await server.send(json.dumps(sample_of(container, json.loads(line))))
    writer.close()


def sample_of(container: str, stats: dict[str, Any]) -> dict[str, Any]:
    """What a server wants of it."""
    now, before = stats["cpu_stats"], stats["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    elapsed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    memory = stats["memory_stats"]
    cached = memory.get("stats", {}).get("inactive_file", 0)
    networks = (stats.get("networks") or {}).values()
    disk = stats["blkio_stats"].get("io_service_bytes_recursive") or []
    return {
        "type": "event",
        "command": "container_stats",
        "payload": {
            "container_id": container[:12],
            "container_name": stats["name"].lstrip("/"),
            "cpu_percent": 100 * used / elapsed * now.get("online_cpus", 1) if elapsed > 0 else 0,
            "memory_usage": memory.get("usage", 0) - cached,
            "memory_limit": memory.get("limit", 0),
            "network_rx": sum(each["rx_bytes"] for each in networks),
            "network_tx": sum(each["tx_bytes"] for each in networks),
            "disk_read": sum(each["value"] for each in disk if each["op"].lower() == "read"),
            "disk_write": sum(each["value"] for each in disk if each["op"].lower() == "write"),
            "timestamp": stats["read"],
        },
    }


async def main(socket: str, url: str, certificate: str) -> None:
    containers = sys.stdin.read().split()
    tls = ssl.create_default_context(cafile=certificate)
    async with (
        connect(url, ssl=tls, compression=None, proxy=None) as server,
        asyncio.TaskGroup() as all_of_them,
    ):
        for container in containers:
            all_of_them.create_task(follow(socket, container, server))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
