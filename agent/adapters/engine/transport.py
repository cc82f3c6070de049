"""HTTP over a unix socket, as `requests` wants it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import Any

import requests.adapters
import urllib3
import urllib3.connection
import urllib3.connectionpool


class UnixAdapter(requests.adapters.HTTPAdapter):
    """Keeps one connection open for whatever is asked.

    The `docker` package's own adapter keeps a connection for each URL (25 of them, so one for each
    container inspected), and leaves the socket of a failed attempt to the garbage collector.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._pool = _Pool("localhost", maxsize=1, path=path)

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> urllib3.connectionpool.ConnectionPool:
        return self._pool

    def request_url(
        self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None
    ) -> str:
        return request.path_url

    def close(self) -> None:
        self._pool.close()
        super().close()


class _Connection(urllib3.connection.HTTPConnection):
    def __init__(self, *args: Any, path: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._path = path

    def connect(self) -> None:
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            sock.settimeout(self.timeout)
            sock.connect(self._path)
            stack.pop_all()
        self.sock = sock


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection
