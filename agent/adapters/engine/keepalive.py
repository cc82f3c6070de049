"""For connections on which nothing may be said for hours."""

from __future__ import annotations

import socket

_TIMES = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))


def keep_alive(sock: socket.socket) -> None:
    """Has the kernel ask a silent peer from time to time: a router that forgot the connection is noticed else never."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _TIMES:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
