"""The machine as the operating system tells of it."""

from __future__ import annotations

import fcntl
import platform
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.core.host_addresses import is_own_interface, local_addresses, own_addresses
from agent.ports import HostLook

SIOCGIFADDR = 0x8915
"""The IPv4 address of an interface: netdevice(7)."""

FIB_TRIE_BYTES = 1024 * 1024
"""Far beyond any host's; a file of this size is not worth reading at each registration."""


class LinuxHost:
    """Natively, or in a container that was given the host's `/proc`.

    Args:
        host_proc: The host's `/proc` as mounted into our container; None when we run natively. In a container without
            that mount there is nothing to tell: its own addresses are nobody's business.
        contained: Whether we run in a container.
    """

    def __init__(self, *, contained: bool, host_proc: Path = Path("/host/proc")) -> None:
        self._contained, self._host_proc = contained, host_proc

    def look(self, *, container_subnets: Sequence[str]) -> HostLook:
        return HostLook(
            name=socket.gethostname(),
            machine=platform.machine(),
            addresses=own_addresses(self._addresses(), container_subnets),
        )

    def _addresses(self) -> Iterator[str]:
        if not self._contained:
            yield from _interface_addresses()
            return
        try:
            with (self._host_proc / "1/net/fib_trie").open("rb") as file:
                text = file.read(FIB_TRIE_BYTES).decode("ascii", "replace")
        except OSError:
            return
        yield from local_addresses(text)


def _interface_addresses() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            if not is_own_interface(name):
                continue
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(sock.fileno(), SIOCGIFADDR, request)
            except OSError:
                continue  # it has no IPv4 address
            yield socket.inet_ntoa(answer[20:24])
