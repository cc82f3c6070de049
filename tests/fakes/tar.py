"""A tar stream as an engine makes it of a directory in a container."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import PurePosixPath

from agent.ports import NotFound


def tar_of(path: str, files: Mapping[str, bytes], *, chunk_bytes: int = 1000) -> list[bytes]:
    """The stream in pieces. Its names begin with the last part of `path`.

    Raises:
        NotFound: There is nothing at `path`.
    """
    within = {name: content for name, content in files.items() if name.startswith(f"{path}/")}
    if not within:
        raise NotFound(f"Could not find the file {path} in container", 404)
    base = PurePosixPath(path).parent
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        made: set[PurePosixPath] = set()
        for name, content in sorted(within.items()):
            relative = PurePosixPath(name).relative_to(base)
            for parent in reversed(relative.parents[:-1]):
                if parent not in made:
                    made.add(parent)
                    folder = tarfile.TarInfo(f"{parent}/")
                    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(folder)
            entry = tarfile.TarInfo(str(relative))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    whole = out.getvalue()
    return [whole[at : at + chunk_bytes] for at in range(0, len(whole), chunk_bytes)]
