"""A registry on loopback with images made on the spot, for engines that are to pull something."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class ImageRegistry:
    """Serves what `push` was given, to anybody. Engines take one on loopback without TLS.

    Args:
        root: The root file system of every image in it, as a tar archive.
        architecture: What its programs run on, in the engine's words.
    """

    def __init__(self, root: bytes, architecture: str = "amd64") -> None:
        self._architecture = architecture
        self.was_asked = False
        """Whether anybody reached it yet."""
        self._layer = gzip.compress(root, 1, mtime=0)
        self._diff_id = _digest(root)
        self._blobs: dict[str, bytes] = {_digest(self._layer): self._layer}
        self._manifests: dict[str, bytes] = {}  # by NAME/REFERENCE
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.registry = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def push(self, name: str, tag: str, config: Mapping[str, Any]) -> str:
        """Makes an image of that `Config` and returns its reference. A tag that is there moves on to it."""
        image = _json(
            {
                "architecture": self._architecture,
                "os": "linux",
                "config": config,
                "rootfs": {"type": "layers", "diff_ids": [self._diff_id]},
            }
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(_CONFIG, image),
                "layers": [_descriptor(_LAYER, self._layer)],
            }
        )
        self._blobs[_digest(image)] = image
        for reference in (tag, _digest(manifest)):
            self._manifests[f"{name}/{reference}"] = manifest
        return f"{self.address}/{name}:{tag}"

    def find(self, path: str) -> tuple[str, bytes] | None:
        """What is under a path of the registry's HTTP API: its type and its content."""
        self.was_asked = True
        match path.strip("/").split("/"):
            case ["v2"]:
                return "application/json", b"{}"
            case ["v2", *name, "manifests", reference]:
                manifest = self._manifests.get("/".join((*name, reference)))
                return None if manifest is None else (_MANIFEST, manifest)
            case ["v2", *_, "blobs", digest]:
                blob = self._blobs.get(digest)
                return None if blob is None else ("application/octet-stream", blob)
        return None

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    registry: ImageRegistry
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        found = self.server.registry.find(self.path.partition("?")[0])
        kind, content = found or ("application/json", b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Content-Digest", _digest(content))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_GET = do_HEAD = _answer  # noqa: N815  the names are http.server's

    def log_message(self, *args: object) -> None:
        """Silent: whoever asked has the answer."""


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, content: bytes) -> Mapping[str, Any]:
    return {"mediaType": media_type, "size": len(content), "digest": _digest(content)}
