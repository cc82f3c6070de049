"""`dockmon-agent release`, as a maintainer types it."""

from __future__ import annotations

import marshal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from release.workshop import Ceremony, install_what_is_here

from agent import cli, release_archive

PYC_HEADER_BYTES = 16


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[object, str, str]:
    """(exit status, standard output, standard error) of `dockmon-agent release WORDS`."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["release", *map(str, words)])
    found = capsys.readouterr()
    return ended.value.code, found.out, found.err


def done(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    status, out, err = said(capsys, *words)
    assert (status, err) == (0, "")
    return out


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line that says why."""
    status, out, err = said(capsys, *words)
    assert (status, out, err.count("\n")) == (1, "", 1)
    return err


# --- Keys


def test_from_keys_to_a_verified_release(
    tmp_path: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way, in the commands of the documentation."""
    root, signing, cert = tmp_path / "root.key", tmp_path / "signing.key", tmp_path / "signing.cert"
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    done(capsys, "keygen", root)
    done(capsys, "keygen", signing)
    (tmp_path / "root.key.pub").rename(trusted / "root.pub")
    done(capsys, "certify", root, tmp_path / "signing.key.pub", "-o", cert)
    assert "it is not signed" in refused(capsys, "verify", small, "--keys", trusted)
    done(capsys, "sign", small, "--key", signing, "--certificate", cert)
    assert done(capsys, "verify", small, "--keys", trusted).endswith(": good\n")


def test_a_key_is_its_owners_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A private key that others may read is not used."""
    key = tmp_path / "a.key"
    done(capsys, "keygen", key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len((tmp_path / "a.key.pub").read_text()) == 65
    key.chmod(0o644)
    why = refused(capsys, "certify", key, tmp_path / "a.key.pub", "-o", tmp_path / "c")
    assert f"chmod 600 {key}" in why


def test_a_key_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be lost."""
    done(capsys, "keygen", tmp_path / "a.key")
    before = (tmp_path / "a.key").read_bytes()
    assert "is there already" in refused(capsys, "keygen", tmp_path / "a.key")
    assert (tmp_path / "a.key").read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told, not shown."""
    path = tmp_path / "x"
    path.write_bytes(content)
    path.chmod(0o600)
    assert "holds no private key" in refused(capsys, "certify", path, path, "-o", tmp_path / "c")


def test_a_certificate_for_another_key(
    small: Path, ceremony: Ceremony, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No host would accept what it signs, so nothing is signed."""
    other = tmp_path / "other.key"
    done(capsys, "keygen", other)
    why = refused(capsys, "sign", small, "--key", other, "--certificate", ceremony.certificate)
    assert "is for another signing key" in why
    assert not (small / "manifest.sig").exists()


def test_without_cryptography(tmp_path: Path) -> None:
    """Everything but keys and signatures works; those say what to install."""
    script = "import sys; sys.modules['cryptography'] = None; from agent.cli import main; main(sys.argv[1:])"
    ended = subprocess.run(
        (sys.executable, "-c", script, "release", "keygen", str(tmp_path / "k")),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "pip install 'dockmon-agent[release]'" in ended.stderr


# --- Trees


def test_a_changed_file(
    small: Path, ceremony: Ceremony, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is found; described anew, the old signature is gone."""
    ceremony.sign(small)
    (small / "start.py").write_text("other\n")
    why = refused(capsys, "verify", small, "--keys", ceremony.trusted)
    assert "start.py is not what its manifest says" in why
    sign = ("--key", ceremony.key, "--certificate", ceremony.certificate)
    assert "would be refused" in refused(capsys, "sign", small, *sign)
    done(capsys, "manifest", small)
    assert "it is not signed" in refused(capsys, "verify", small, "--keys", ceremony.trusted)


def test_a_link_in_a_release(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There are none."""
    (small / "link").symlink_to("start.py")
    assert "is not a regular file" in refused(capsys, "manifest", small)


def test_what_is_no_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is missing."""
    assert "__init__.py cannot be read" in refused(capsys, "manifest", tmp_path)


def test_a_directory_without_keys(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is good that nobody vouches for."""
    assert "has no root public keys" in refused(capsys, "verify", small, "--keys", tmp_path)


# --- Building


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A directory with one wheel, of a project that is ours in name."""
    directory = tmp_path / "wheels"
    directory.mkdir()
    info = "dockmon_agent-9.9.9.dist-info"
    files = {
        "agent/__init__.py": '__version__ = "9.9.9"\n',
        "agent/tests/test_x.py": "",
        "pygments/__init__.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: dockmon-agent\nVersion: 9.9.9\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(directory / "dockmon_agent-9.9.9-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
        wheel.writestr(f"{info}/RECORD", record)
    return directory


@pytest.mark.real_time
def test_build_from_wheels(
    tmp_path: Path, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the index; twice the same, to the byte; without what no release needs."""
    builds = [tmp_path / "one", tmp_path / "another-place"]
    for build in builds:
        done(capsys, "build", build, "--from-wheels", wheels)
    manifests = [(build / "manifest.json").read_bytes() for build in builds]
    assert manifests[0] == manifests[1]
    assert {p.relative_to(builds[0]).as_posix() for p in builds[0].rglob("*") if p.is_file()} == {
        "manifest.json",
        "start.py",
        "site-packages/agent/__init__.py",
        f"site-packages/agent/__pycache__/__init__.{sys.implementation.cache_tag}.pyc",
        "site-packages/dockmon_agent-9.9.9.dist-info/METADATA",
        "site-packages/dockmon_agent-9.9.9.dist-info/WHEEL",
    }
    assert not has_columns(next(builds[0].rglob("*.pyc")))


def has_columns(compiled: Path) -> bool:
    """Whether it takes memory for where in its line each instruction is."""
    code = marshal.loads(compiled.read_bytes()[PYC_HEADER_BYTES:])  # noqa: S302  we have just compiled it
    return any(column is not None for *_, column, _ in code.co_positions())


def test_build_where_something_is(
    tmp_path: Path, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not built over."""
    (tmp_path / "x" / "site-packages" / "other").mkdir(parents=True)
    assert "holds something else" in refused(
        capsys, "build", tmp_path / "x", "--from-wheels", wheels
    )


@pytest.mark.real_time
def test_build_of_what_is_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Packages that are there are kept; the release starts, and finds itself complete without what was trimmed."""
    release, root = tmp_path / "release", tmp_path / "root"
    install_what_is_here(release / "site-packages")
    done(capsys, "build", release)
    done(capsys, "root", root, "--release", release)
    assert not (root / "release" / "site-packages" / "pygments").exists()
    assert {path.name for path in root.iterdir()} == {"launcher", "release", "keys"}
    for words in (("self-check",), ("chart",), ("demo", "--help")):
        ended = subprocess.run(
            (sys.executable, "-I", "-S", "-B", str(root / "release" / "start.py"), *words),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, "")


# --- The one file


def test_the_one_file(
    small: Path, ceremony: Ceremony, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signed or not at all; and the same each time."""
    files = [tmp_path / "a.pyz", tmp_path / "b.pyz"]
    keys = ("--keys", ceremony.trusted)
    assert "it is not signed" in refused(capsys, "pyz", small, *keys, "-o", files[0])
    ceremony.sign(small)
    for file in files:
        done(capsys, "pyz", small, *keys, "-o", file)
    assert files[0].read_bytes() == files[1].read_bytes()
    release_archive.unpack(files[0], "release", tmp_path / "again")
    assert done(capsys, "verify", tmp_path / "again", *keys).endswith(": good\n")


def test_the_name_of_the_one_file(
    small: Path,
    ceremony: Ceremony,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says version and platform."""
    monkeypatch.chdir(tmp_path)
    done(capsys, "pyz", ceremony.sign(small), "--keys", ceremony.trusted)
    (name,) = [path.name for path in tmp_path.glob("*.pyz")]
    assert name.startswith("dockmon-agent-3.1.0-linux-")


def test_a_root_that_holds_something(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stays as it is."""
    assert "is not empty" in refused(capsys, "root", tmp_path, "--release", small)
