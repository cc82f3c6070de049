"""Releases on a volume: what arrives is trusted by nobody, what is installed is complete and signed."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from fakes.tar import tar_of
from launcher.releases import Release, Signer, raw_public

from agent.adapters.release_slots import ReleaseSlots
from agent.core.self_update_rules import RELEASE_PATH
from agent.ports import ReleaseRefused

pytestmark = pytest.mark.real_time

NEW = Release("3.1.0", manifest={"security_floor": 2})
SIGNER = Signer()


def slots_in(path: Path, *, launcher_api: int = 1, need_bytes: int = 1 << 20) -> ReleaseSlots:
    (path / "keys").mkdir(exist_ok=True)
    (path / "keys" / "root.pub").write_text(raw_public(SIGNER.root).hex() + "\n")
    (path / "update").mkdir(exist_ok=True)
    return ReleaseSlots(
        path / "update",
        path / "keys",
        launcher_api=launcher_api,
        security_floor=2,
        schema=1,
        environ={"PATH": os.defpath},
        need_bytes=need_bytes,
    )


def archive(release: Release, signer: Signer = SIGNER, **changes: bytes | None) -> list[bytes]:
    """The release as it comes out of an image. Args: files by name, other than they should be; None is missing."""
    files: dict[str, bytes | None] = {**release.files, "manifest.json": release.manifest_bytes}
    files["manifest.sig"] = signer.sign(release.manifest_bytes)
    files |= {name.replace("__", "/").replace("_", "."): value for name, value in changes.items()}
    return tar_of(
        RELEASE_PATH, {f"{RELEASE_PATH}/{k}": v for k, v in files.items() if v is not None}
    )


def tree(directory: Path) -> Mapping[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


async def test_from_an_archive_to_a_slot(tmp_path: Path) -> None:
    """Every byte arrives, is verified, and stands under the name of its content; no staging is left."""
    slots = slots_in(tmp_path)
    assert await slots.obstacle() == ""
    staging = await slots.begin()
    slots.unpack(staging, iter(archive(NEW)))
    release = await slots.verify(staging)
    assert (release.build_id, release.version) == (NEW.build_id, "3.1.0")
    assert await slots.install(staging, release.build_id) is False
    found = tree(tmp_path / "update" / "slots" / release.build_id)
    assert found == {
        **NEW.files,
        "manifest.json": NEW.manifest_bytes,
        "manifest.sig": SIGNER.sign(NEW.manifest_bytes),
    }
    assert list((tmp_path / "update" / "staging").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"start_py": b"other"}, r"start\.py is not what its manifest says"),
        ({"start_py": None}, r"start\.py is missing"),
        ({"more_py": b"1"}, r"more\.py is not in its manifest"),
        ({"manifest_sig": None}, "not signed"),
        ({"manifest_json": None}, r"manifest\.json"),
        ({"manifest_json": b"{}"}, "format"),
    ],
)
async def test_what_is_not_what_was_signed(
    tmp_path: Path, changes: dict[str, bytes | None], why: str
) -> None:
    """Compared both ways: nothing missing, nothing more, nothing else."""
    slots = slots_in(tmp_path)
    staging = await slots.begin()
    slots.unpack(staging, iter(archive(NEW, SIGNER, **changes)))
    with pytest.raises(ReleaseRefused, match=why):
        await slots.verify(staging)


async def test_somebody_else_s_signature(tmp_path: Path) -> None:
    """Right in itself, by a key that no root key here has certified."""
    slots = slots_in(tmp_path)
    staging = await slots.begin()
    slots.unpack(staging, iter(archive(NEW, Signer())))
    with pytest.raises(ReleaseRefused, match="root keys"):
        await slots.verify(staging)


@pytest.mark.parametrize(
    "manifest",
    [{"python": "cpython-399-x86_64-linux-gnu"}, {"libc": "glibc-99.0"}, {"min_launcher": 99}],
)
async def test_what_a_slot_cannot_carry(tmp_path: Path, manifest: dict[str, object]) -> None:
    """It may be good, but takes another container: that is told apart."""
    slots = slots_in(tmp_path)
    staging = await slots.begin()
    slots.unpack(staging, iter(archive(Release("3.1.0", manifest=manifest))))
    with pytest.raises(ReleaseRefused, match="recreate needed") as refused:
        await slots.verify(staging)
    assert refused.value.needs_recreation


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ({"security_floor": 1}, "below the security floor"),
        ({"data_schema": {"reads": [2, 3], "writes": 3}}, r"cannot read the data.*\(schema 1\)"),
    ],
)
async def test_what_would_not_run_with_what_is_here(
    tmp_path: Path, manifest: dict[str, object], why: str
) -> None:
    """Found out before the command is answered. Another container on the same volume would not help."""
    slots = slots_in(tmp_path)
    staging = await slots.begin()
    changes = {"security_floor": 2, **manifest}
    slots.unpack(staging, iter(archive(Release("3.1.0", manifest=changes))))
    with pytest.raises(ReleaseRefused, match=why) as refused:
        await slots.verify(staging)
    assert not refused.value.needs_recreation


async def test_a_launcher_that_is_older_than_the_release(tmp_path: Path) -> None:
    """What counts is the installed one, which is not updated, and not what we know ourselves."""
    slots = slots_in(tmp_path, launcher_api=0)
    staging = await slots.begin()
    slots.unpack(staging, iter(archive(NEW)))
    with pytest.raises(ReleaseRefused, match="needs launcher 1, and here is 0") as refused:
        await slots.verify(staging)
    assert refused.value.needs_recreation


async def installed(slots: ReleaseSlots) -> bool:
    staging = await slots.begin()
    slots.unpack(staging, iter(archive(NEW)))
    return await slots.install(staging, NEW.build_id)


async def test_a_slot_that_is_there(tmp_path: Path) -> None:
    """It is the same, so it stays."""
    slots = slots_in(tmp_path)
    assert [await installed(slots), await installed(slots)] == [False, True]


async def test_a_slot_that_the_disk_has_damaged(tmp_path: Path) -> None:
    """A whole one takes its place."""
    slots = slots_in(tmp_path)
    await installed(slots)
    slot = tmp_path / "update" / "slots" / NEW.build_id
    (slot / "start.py").write_bytes(b"rot")
    assert await installed(slots) is False
    assert (slot / "start.py").read_bytes() == NEW.files["start.py"]


async def test_discarding(tmp_path: Path) -> None:
    """Every staging, and the slot that is named; another one stays. A second time there is nothing to do."""
    slots = slots_in(tmp_path)
    await installed(slots)
    other = tmp_path / "update" / "slots" / ("0" * 64)
    other.mkdir()
    await slots.begin()
    (tmp_path / "update" / "staging" / "file.pyz").write_bytes(b"half")
    await slots.discard(NEW.build_id)
    await slots.discard(NEW.build_id)
    assert list((tmp_path / "update" / "slots").iterdir()) == [other]
    assert list((tmp_path / "update" / "staging").iterdir()) == []


async def test_an_archive_that_would_write_elsewhere(tmp_path: Path) -> None:
    """A link, a step up, two files of one name: refused, and nothing is outside of the staging."""
    slots = slots_in(tmp_path)
    for name, kind in (("release/x", tarfile.SYMTYPE), ("release/../../x", tarfile.REGTYPE)):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as packed:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc"
            packed.addfile(entry)
        staging = await slots.begin()
        with pytest.raises(ReleaseRefused, match="not taken"):
            slots.unpack(staging, iter([out.getvalue()]))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for _ in range(2):
            packed.addfile(tarfile.TarInfo("release/x"))
    staging = await slots.begin()
    with pytest.raises(ReleaseRefused, match="File exists"):
        slots.unpack(staging, iter([out.getvalue()]))
    assert not (tmp_path / "x").exists()


# The self-check


async def checked(tmp_path: Path, start: str) -> None:
    slots = slots_in(tmp_path)
    slot = tmp_path / "update" / "slots" / NEW.build_id
    slot.mkdir(parents=True)
    (slot / "start.py").write_text(start)
    await slots.self_check(NEW.build_id, deadline_s=5)


async def test_a_release_that_can_run(tmp_path: Path) -> None:
    """Isolated, told what to do, and without a word of our environment."""
    await checked(
        tmp_path,
        "import os, sys\nassert sys.argv[1:] == ['self-check'] and sys.flags.isolated\n"
        "assert set(os.environ) <= {'PATH', 'LC_CTYPE'}, os.environ\n",
    )


async def test_a_release_that_cannot(tmp_path: Path) -> None:
    """The end of what it said is the reason."""
    with pytest.raises(ReleaseRefused, match=r"status 1.*No module named 'nothing'"):
        await checked(tmp_path, "import nothing")


async def test_a_release_that_hangs(tmp_path: Path) -> None:
    """It is ended with all that it started."""
    slots = slots_in(tmp_path)
    slot = tmp_path / "update" / "slots" / NEW.build_id
    slot.mkdir(parents=True)
    (slot / "start.py").write_text("import os, signal\nos.fork()\nsignal.pause()\n")
    with pytest.raises(ReleaseRefused, match=r"within 0\.5 s"):
        await slots.self_check(NEW.build_id, deadline_s=0.5)


# What stands in the way


async def test_no_room(tmp_path: Path) -> None:
    """Said with what there is and what it takes."""
    slots = slots_in(tmp_path, need_bytes=1 << 60)
    assert "MiB free and another release needs" in await slots.shortage()
    assert await slots.obstacle() == ""
    assert await slots_in(tmp_path).shortage() == ""


async def test_no_keys(tmp_path: Path) -> None:
    """Then nothing could be trusted."""
    slots = slots_in(tmp_path)
    (tmp_path / "keys" / "root.pub").write_text("no key")
    assert "no root keys" in await slots.obstacle()


async def test_no_directory(tmp_path: Path) -> None:
    """It says what to mount."""
    slots = slots_in(tmp_path)
    (tmp_path / "update").rmdir()
    assert "mount a named volume" in await slots.obstacle()


@pytest.fixture(params=[("noexec", "noexec"), ("ro", "not read-only")])
def odd_volume(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The update directory on a file system with a mount option; gives what is to be said of it."""
    option, why = request.param
    target = tmp_path / "update"
    target.mkdir()
    line = ("mount", "-t", "tmpfs", "-o", f"size=200m,{option}", "tmpfs", str(target))
    if os.geteuid() != 0 or subprocess.run(line, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield why
    subprocess.run(("umount", str(target)), check=True)


async def test_a_volume_that_cannot_be_used(odd_volume: str, tmp_path: Path) -> None:
    """Found out before anything is pulled."""
    assert odd_volume in await slots_in(tmp_path).obstacle()
