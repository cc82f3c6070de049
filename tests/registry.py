"""A registry on the loopback interface that has one image and asks who wants it."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import json
import tarfile
from types import TracebackType
from typing import Self

import docker

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Registry:
    """Serves one image of an engine, under any name and tag, to one user. Engines trust loopback without TLS.

    Attributes:
        reference: What it is pulled by.
        asked: (user name or "", path) of each request.
    """

    def __init__(self, client: docker.APIClient, image: str, *, user: str, password: str) -> None:
        self._user, self._credentials = user, f"{user}:{password}"
        self._blobs: dict[str, bytes] = {}
        self._manifest = self._add(client, image)
        self._server: asyncio.Server | None = None
        self.reference = ""
        self.asked: list[tuple[str, str]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.reference = f"127.0.0.1:{port}/dmatest/paper:1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()

    def _add(self, client: docker.APIClient, image: str) -> bytes:
        """Takes the image apart; returns its manifest."""
        saved = io.BytesIO(b"".join(client.get_image(image)))
        with tarfile.open(fileobj=saved) as tar:

            def read(name: str) -> bytes:
                file = tar.extractfile(name)
                assert file is not None
                return file.read()

            [index] = json.loads(read("manifest.json"))
            config = read(index["Config"])
            layers = [gzip.compress(read(name), 1) for name in index["Layers"]]
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._blob(_CONFIG, config),
            "layers": [self._blob(_LAYER, layer) for layer in layers],
        }
        return json.dumps(manifest).encode()

    def _blob(self, kind: str, content: bytes) -> dict[str, object]:
        self._blobs[_digest(content)] = content
        return {"mediaType": kind, "size": len(content), "digest": _digest(content)}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if first == b"\x16":
                return  # engines try TLS first, and would wait for an answer to their greeting
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path, _ = head.split(" ", 2)
            told = base64.b64encode(self._credentials.encode()).decode()
            is_known = f"\r\nauthorization: basic {told}\r\n".lower() in head.lower()
            self.asked.append((self._user if is_known else "", path))
            writer.write(self._answer(method, path) if is_known else _UNKNOWN)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, method: str, path: str) -> bytes:
        kind, content = "application/json", b"{}"
        if "/manifests/" in path:
            kind, content = _MANIFEST, self._manifest
        elif "/blobs/" in path:
            kind, content = "application/octet-stream", self._blobs[path.rpartition("/")[2]]
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
            f"Docker-Content-Digest: {_digest(content)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + (b"" if method == "HEAD" else content)


_UNKNOWN = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=test\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
