"""Control groups of both versions: where a container's is, and what its files say. Bytes in, numbers out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.core.host_traffic import may_carry

UNIFIED = ""
"""The key of version 2's single hierarchy among those of version 1, which have controllers' names."""

# Where a group is


def memberships(cgroup: str) -> dict[str, str]:
    """The group that `/proc/<pid>/cgroup` names for each controller."""
    found = {}
    for line in cgroup.splitlines():
        # ID, controllers, path: cgroups(7). The path may hold colons.
        fields = line.split(":", 2)
        if len(fields) == 3:
            found.update(dict.fromkeys(fields[1].split(","), fields[2]))
    return found


def group_of(path: str, container_id: str) -> str | None:
    """The container's own group, given one of its processes'; None if that is in no group of this container.

    An init system or an engine in a container moves its processes into groups beneath. And a number may name another
    process by now, or one of another machine: the ID proves that it does not.
    """
    names = path.split("/")
    for depth, name in enumerate(names):
        if container_id in name:
            return "/".join(names[: depth + 1])
    return None


def usual_groups(container_id: str) -> tuple[str, ...]:
    """Where engines put a container unless told otherwise: with the `cgroupfs` driver, with that of systemd."""
    return f"docker/{container_id}", f"system.slice/docker-{container_id}.scope"


def seen_from(root: str, path: str) -> str | None:
    """`path` from the top of the hierarchy, as a reader in a namespace whose root is `root` is shown it.

    Such a reader is shown `/../ID` for a group beside its own. None if that leads above the top.
    """
    names = [name for name in root.split("/") if name]
    for name in path.split("/"):
        if name == "..":
            if not names:
                return None
            names.pop()
        elif name:
            names.append(name)
    return "/".join(names)


# What its files say. All of this runs for each container each second.


def figure(stat: bytes, key: bytes) -> int:
    """What a file of `key value` lines has for `key`; 0 if it is not there. `key` ends with the space."""
    if stat.startswith(key):
        begin = len(key)
    elif (before := stat.find(b"\n" + key)) >= 0:
        begin = before + 1 + len(key)
    else:
        return 0
    return int(stat[begin:].partition(b"\n")[0])


def working_set_v1(usage_bytes: int, stat: bytes) -> int:
    """Memory without the page cache that the kernel could drop at once, groups beneath included."""
    inactive_bytes = figure(stat, b"total_inactive_file ")
    return usage_bytes - inactive_bytes if usage_bytes > inactive_bytes else usage_bytes


def working_set_v2(stat: bytes) -> int:
    """The same from version 2's `memory.stat`, as the server counts it there."""
    return figure(stat, b"anon ") + figure(stat, b"active_file ")


def limit_bytes(limit: bytes, total_bytes: int) -> int:
    """What a container may take at most: version 2 writes `max` for no limit, version 1 an absurd number."""
    text = limit.strip()
    return min(int(text), total_bytes) if text.isdigit() else total_bytes


def transferred_v1(table: bytes) -> tuple[int, int]:
    """(bytes read, bytes written) of a `blkio.*.io_service_bytes*` file: `8:0 Read 4096`, and a total."""
    read = written = 0
    for line in table.split(b"\n"):
        match line.split(b" "):
            case [_, operation, count]:
                match operation.lower():
                    case b"read":
                        read += int(count)
                    case b"write":
                        written += int(count)
    return read, written


def transferred_v2(table: bytes) -> tuple[int, int]:
    """(bytes read, bytes written) of `io.stat`: `8:0 rbytes=4096 wbytes=0 rios=1 …`."""
    read = written = 0
    for word in table.split():
        if word.startswith(b"rbytes="):
            read += int(word[7:])
        elif word.startswith(b"wbytes="):
            written += int(word[7:])
    return read, written


def traffic(table: bytes) -> tuple[int, int]:
    """(bytes received, bytes sent) of a container's `/proc/<pid>/net/dev`, over the interfaces the engine gave it.

    What the container made within, a tunnel or an engine's bridge, sends through those.
    """
    received = sent = 0
    for name, words in _interfaces(table.split(b"\n")):
        if may_carry(name):
            received += int(words[0])
            sent += int(words[8])
    return received, sent


def _interfaces(lines: Iterable[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    for line in lines:
        name, colon, rest = line.partition(b":")
        if colon:
            # Eight figures about receiving, then those about sending: proc(5). The two lines above have no colon.
            yield name.strip().decode("ascii", "replace"), rest.split()
