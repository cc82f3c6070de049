"""A tar archive as it comes, whoever made it; nothing in it is taken on trust."""

from __future__ import annotations

import contextlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.tar_stream import BadArchive, Limits, entries

LIMITS = Limits(entries=50, file_bytes=100_000, total_bytes=200_000)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=150)
TREES = st.dictionaries(
    st.lists(NAMES.filter(lambda n: n not in (".", "..")), min_size=1, max_size=4).map("/".join),
    st.binary(max_size=2000),
    max_size=8,
)


def made(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def read(archive: bytes, *, chunk: int = 700, limits: Limits = LIMITS) -> dict[str, bytes | None]:
    """Files by path; None is a directory."""
    chunks = (archive[at : at + chunk] for at in range(0, len(archive), chunk))
    return {
        "/".join(entry.path): None if entry.is_directory else b"".join(entry.content)
        for entry in entries(chunks, limits)
    }


@given(TREES, st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]), st.integers(1, 3000))
def test_what_the_standard_library_packs(tree: dict[str, bytes], form: int, chunk: int) -> None:
    """Long names, empty files, any chunks: the same comes out."""
    archive = made(*(member(name, content) for name, content in tree.items()), form=form)
    assert read(archive, chunk=chunk) == tree


def test_directories_and_what_a_reader_leaves() -> None:
    """Who does not read a file's content gets the next entry all the same."""
    archive = made(
        member("r/", type=tarfile.DIRTYPE), member("r/a", b"1" * 1000), member("./r/b", b"2")
    )
    found = [(entry.path, entry.is_directory) for entry in entries([archive], LIMITS)]
    assert found == [(("r",), True), (("r", "a"), False), (("r", "b"), False)]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (member("r/x", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a symbolic link"),
        (member("r/x", type=tarfile.LNKTYPE, linkname="r/y"), "a hard link"),
        (member("r/x", type=tarfile.CHRTYPE), "a device"),
        (member("r/x", type=tarfile.BLKTYPE), "a device"),
        (member("r/x", type=tarfile.FIFOTYPE), "a pipe"),
        (member("r/x", type=b"7"), "an unknown kind"),
        (member("../x"), "a file at"),
        (member("r/../../x"), "a file at"),
        (member("/etc/x"), "a file at"),
        (member("r//x"), "a file at"),
        (member("r/x", b"1" * 100_001), "larger than"),
    ],
)
def test_what_has_no_place_in_a_release(entry: tuple[tarfile.TarInfo, bytes], why: str) -> None:
    """Refused by name, before anything of it is written."""
    with pytest.raises(BadArchive, match=why):
        read(made(entry))


def test_limits() -> None:
    """Of entries, and of all bytes together."""
    with pytest.raises(BadArchive, match="more than 50 files"):
        read(made(*(member(f"r/{n}") for n in range(51))))
    with pytest.raises(BadArchive, match="larger than"):
        read(made(*(member(f"r/{n}", b"1" * 90_000) for n in range(3))))


def test_a_header_without_an_end() -> None:
    """What would be read into memory as a whole has a limit of its own."""
    with pytest.raises(BadArchive, match="a header of"):
        read(made(member("r/x", pax_headers={"comment": "x" * 70_000})))


@given(st.binary(max_size=3000))
def test_what_is_no_archive(rubbish: bytes) -> None:
    """It is refused, or empty; nothing else comes of it."""
    try:
        found = read(rubbish)
    except BadArchive:
        return
    assert found == {}


@given(st.integers(0, 4000), st.integers(0, 255))
def test_an_archive_with_a_wrong_byte(at: int, value: int) -> None:
    """No single byte makes it raise anything else."""
    archive = bytearray(made(member("r/a", b"1" * 600), member("r/" + "b" * 120, b"2")))
    archive[at % len(archive)] = value
    with contextlib.suppress(BadArchive):
        read(bytes(archive))


@given(st.integers(1, 1500))
def test_one_that_is_cut_short(length: int) -> None:
    """In the middle of a header or a file it is an error, never a shorter file."""
    archive = made(member("r/a", b"1" * 1000))[:length]
    if length == 512:
        return  # its end is missing, and so is all of the content
    with pytest.raises(BadArchive, match="cut short"):
        read(archive)
