"""What a release must fit: processor, Python, C library."""

from __future__ import annotations

import importlib.machinery
import os
import sys

from agent.launcher.record import Record

_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm/v7",
    "i686": "386",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
"""The kernel's names and those of container images."""


class Machine(Record):
    """`platform` as in image indexes, `python` as sysconfig's SOABI, `libc` with its version, where that is known."""

    platform: str
    python: str
    libc: str


def this_machine() -> Machine:
    machine = os.uname().machine
    soabi = importlib.machinery.EXTENSION_SUFFIXES[0].strip(".").removesuffix(".so")
    return Machine(f"{sys.platform}/{_ARCHITECTURES.get(machine, machine)}", soabi, _libc(soabi))


def _libc(soabi: str) -> str:
    try:
        glibc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        glibc = ""
    if glibc:
        return glibc.replace(" ", "-")
    return "musl" if "musl" in soabi else ""


def misfit(here: Machine, platform: str, python: str, libc: str) -> str:
    """Why a release made for these cannot run here; "" if it can.

    Args:
        libc: The oldest that will do, such as `glibc-2.36`; "" means any.
    """
    if platform != here.platform:
        return f"it is made for {platform}, and this is {here.platform}"
    if python != here.python:
        return f"it needs Python {python}, and this is {here.python}: recreate needed"
    kind, _, floor = libc.partition("-")
    kind_here, _, version = here.libc.partition("-")
    if not kind:
        return ""
    if kind != kind_here:
        return f"it needs {libc}, and this has {here.libc or 'another C library'}: recreate needed"
    # musl does not tell its version; what is built for it runs on all of them.
    if version and _numbers(version) < _numbers(floor):
        return f"it needs {libc} or newer, and this has {here.libc}: recreate needed"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))
