"""What the operating system tells of a host, natively or through its mounted /proc."""

from __future__ import annotations

import socket
from pathlib import Path

from agent.adapters.host import LinuxHost

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.0.2.7
        /32 host LOCAL
     |-- 172.22.0.1
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
"""


def test_natively() -> None:
    """The name, the machine, and no loopback address."""
    look = LinuxHost(contained=False).look(container_subnets=())
    assert look.name == socket.gethostname()
    assert look.machine
    assert not any(address.startswith("127.") for address in look.addresses)


def test_in_a_container_with_the_hosts_proc(tmp_path: Path) -> None:
    """The host's own addresses, without those of its container networks."""
    (tmp_path / "1/net").mkdir(parents=True)
    (tmp_path / "1/net/fib_trie").write_text(FIB_TRIE)
    host = LinuxHost(contained=True, host_proc=tmp_path)
    assert host.look(container_subnets=["172.22.0.0/16"]).addresses == ("192.0.2.7",)


def test_in_a_container_without_it(tmp_path: Path) -> None:
    """The container's own addresses are nobody's business, so none are told."""
    host = LinuxHost(contained=True, host_proc=tmp_path)
    assert host.look(container_subnets=()).addresses == ()
