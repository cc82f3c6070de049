"""Manifests and signatures: written here, read by the launcher's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import release_manifest
from agent.core.release_manifest import File, Target
from agent.launcher import manifest as manifests
from agent.launcher import small_json
from agent.launcher.signature import fault_of_signature

TARGET = Target("linux/arm64", "cpython-313-aarch64-linux-gnu", "glibc-2.28")
START = File("start.py", "a" * 64, 3)

paths = st.lists(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=3,
).map("/".join)
files = st.builds(
    File, paths, st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(0, 2**40)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)  # fmt: skip


@given(
    st.lists(files, unique_by=lambda file: file.path), st.from_regex(r"\d\.\d\.\d", fullmatch=True)
)
def test_what_is_written_can_be_read(others: list[File], version: str) -> None:
    """By the launcher, which compares every byte; the order of the files does not matter."""
    listed = [START, *(file for file in others if file.path != START.path)]
    document = release_manifest.manifest(version, TARGET, listed)
    found = manifests.parse(document)
    assert (found.version, found.platform, found.libc) == (version, "linux/arm64", "glibc-2.28")
    assert found.files.keys() == {f.path for f in listed} - {"manifest.json", "manifest.sig"}
    assert release_manifest.manifest(version, TARGET, reversed(listed)) == document


@given(json_values)
def test_both_write_the_same(value: Any) -> None:
    """Canonical JSON has one form, whoever writes it."""
    assert release_manifest.canonical(value) == small_json.canonical(value)


def test_the_manifest_does_not_describe_itself() -> None:
    """Nor the signature over it."""
    listed = [START, File("manifest.json", "b" * 64, 1), File("manifest.sig", "c" * 64, 1)]
    assert release_manifest.file_table(listed).keys() == {"start.py"}


def test_the_build_id_changes_with_any_file() -> None:
    """In its name, content or size."""
    tables = [
        release_manifest.file_table([file])
        for file in (START, File("start.pi", "a" * 64, 3), File("start.py", "b" * 64, 3), File("start.py", "a" * 64, 4))
    ]  # fmt: skip
    assert len({release_manifest.build_id(table) for table in tables}) == 4


@pytest.mark.parametrize(
    ("libraries", "floor"),
    [
        ([], ""),
        ([b"\0GLIBCXX_3.4\0"], ""),
        ([b"\0GLIBC_2.2.5\0GLIBC_2.14\0", b"GLIBC_2.9"], "glibc-2.14"),
    ],
)
def test_the_oldest_c_library(libraries: list[bytes], floor: str) -> None:
    """Numbers are compared, not texts."""
    assert release_manifest.glibc_floor(libraries) == floor


# --- Certificates


def test_a_certificate() -> None:
    """It comes back as it was written."""
    document = release_manifest.certificate_document(b"k" * 32, b"c" * 64)
    assert release_manifest.read_certificate(document) == (b"k" * 32, b"c" * 64)


@pytest.mark.parametrize(
    "document", [b"", b"[]", b'{"format":2}', b'{"format":1}', b'{"format":1,"key":"ab","certificate":"cd"}']
)  # fmt: skip
def test_what_is_no_certificate(document: bytes) -> None:
    """A ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - whichever text
        release_manifest.read_certificate(document)


# --- Vectors: made once with the `cryptography` package, so that no change of ours can go unseen

VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "release-signatures.json").read_text("utf-8")
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    """Each verifies, or not, as it is recorded."""
    roots = [bytes.fromhex(key) for key in vector["roots"]]
    why = fault_of_signature(vector["manifest"].encode(), vector["signature"].encode(), roots)
    assert (not why) is vector["good"]
    assert vector["why"] in why


@pytest.mark.parametrize("part", ["key", "certificate", "signature"])
@pytest.mark.parametrize("at", [0, 31, -1])
def test_an_altered_signature(part: str, at: int) -> None:
    """One bit anywhere, and it vouches for nothing."""
    vector = VECTORS[0]
    document = json.loads(vector["signature"])
    altered = bytearray.fromhex(document[part])
    altered[at] ^= 1
    document[part] = altered.hex()
    roots = [bytes.fromhex(key) for key in vector["roots"]]
    altered_document = release_manifest.canonical(document)
    assert fault_of_signature(vector["manifest"].encode(), altered_document, roots)


@given(st.data())
def test_an_altered_manifest(data: st.DataObject) -> None:
    """One byte, and it is another one."""
    vector = VECTORS[0]
    content = bytearray(vector["manifest"].encode())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    roots = [bytes.fromhex(key) for key in vector["roots"]]
    assert fault_of_signature(bytes(content), vector["signature"].encode(), roots)
