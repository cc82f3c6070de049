"""The command line of `dockmon-agent release`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from agent.core import release_manifest
from agent.release import ReleaseError
from agent.release.building import build
from agent.release.checking import demand_valid
from agent.release.image import engine, sign_image
from agent.release.keys import Signer, generate, read, read_public, write_new
from agent.release.packing import lay_out, native_file
from agent.release.tree import files_of, write_manifest

Do = Callable[[argparse.Namespace], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One command of its own for each step, in the order in which a release goes through them."""
    commands = parser.add_subparsers(title="steps", metavar="STEP", required=True)

    def step(name: str, text: str, do: Do) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(step=do)
        return added

    keygen = step("keygen", "make a key: FILE for its owner alone, and FILE.pub", _keygen)
    keygen.add_argument("file", type=Path, metavar="FILE")

    certify = step("certify", "have a root key vouch for a signing key", _certify)
    certify.add_argument("root", type=Path, metavar="ROOT.key")
    certify.add_argument("signing", type=Path, metavar="SIGNING.pub")
    certify.add_argument("-o", "--output", type=Path, required=True, metavar="SIGNING.cert")

    build = step("build", "make a release for this Python: packages, start.py, manifest", _build)
    build.add_argument("directory", type=Path, metavar="DIR")
    build.add_argument(
        "--from-wheels", type=Path, metavar="DIR", help="packages, instead of the index"
    )
    build.add_argument(
        "--project", type=Path, metavar="DIR", help="the source tree (default: where this is)"
    )

    manifest = step("manifest", "describe a release that was changed by hand", _manifest)
    manifest.add_argument("directory", type=Path, metavar="DIR")

    sign = step("sign", "sign a release", _sign)
    sign.add_argument("directory", type=Path, metavar="DIR")
    _add_signer(sign)

    verify = step("verify", "check a release as a host would that trusts these root keys", _verify)
    verify.add_argument("directory", type=Path, metavar="DIR")
    verify.add_argument("--keys", type=Path, required=True, metavar="DIR", help="root public keys")

    root = step("root", "lay out an installation: launcher, release, keys", _root)
    root.add_argument("directory", type=Path, metavar="DIR")
    root.add_argument("--release", type=Path, required=True, metavar="DIR")
    root.add_argument(
        "--keys", type=Path, metavar="DIR", help="root public keys (none: no updates)"
    )

    pyz = step("pyz", "make the one file that installs a signed release natively", _pyz)
    pyz.add_argument("directory", type=Path, metavar="DIR")
    pyz.add_argument("--keys", type=Path, required=True, metavar="DIR", help="root public keys")
    pyz.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="(default: named by version and platform)"
    )

    image = step("sign-image", "make a signed image from an unsigned one", _sign_image)
    image.add_argument("unsigned", metavar="UNSIGNED")
    image.add_argument("--tag", required=True, metavar="FINAL", help="name of the signed image")
    _add_signer(image)


def _add_signer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", type=Path, required=True, metavar="SIGNING.key")
    parser.add_argument("--certificate", type=Path, required=True, metavar="SIGNING.cert")


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit status: 1 and one line on standard error if it cannot be done."""
    try:
        arguments.step(arguments)
    except ReleaseError as error:
        print(f"dockmon-agent release: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"dockmon-agent release: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _keygen(arguments: argparse.Namespace) -> None:
    print(f"{arguments.file}: keep it offline. Public: {generate(arguments.file)}")


def _certify(arguments: argparse.Namespace) -> None:
    document = Signer.load(arguments.root).certify(read_public(arguments.signing))
    write_new(arguments.output, document, 0o644)
    print(f"{arguments.output}: {arguments.signing} may sign releases")


def _build(arguments: argparse.Namespace) -> None:
    build(arguments.directory, arguments.from_wheels, arguments.project)
    _manifest(arguments)


def _manifest(arguments: argparse.Namespace) -> None:
    write_manifest(arguments.directory)
    manifest = demand_valid(arguments.directory, None)
    size_bytes = sum(file.size_bytes for file in files_of(arguments.directory))
    print(
        f"{arguments.directory}: {manifest.version} for {manifest.platform}, {manifest.python}, "
        f"{manifest.libc or 'any C library'}; {len(manifest.files)} files, {size_bytes / 1e6:.1f} MB, "
        f"build {manifest.build_id}"
    )


def _sign(arguments: argparse.Namespace) -> None:
    directory: Path = arguments.directory
    demand_valid(directory, None)
    manifest = read(directory / release_manifest.MANIFEST)
    signature = Signer.load(arguments.key).sign(manifest, read(arguments.certificate))
    (directory / release_manifest.SIGNATURE).write_bytes(signature)
    print(f"{directory / release_manifest.SIGNATURE}: signed")


def _verify(arguments: argparse.Namespace) -> None:
    manifest = demand_valid(arguments.directory, arguments.keys)
    print(f"{arguments.directory}: {manifest.version}, build {manifest.build_id}: good")


def _root(arguments: argparse.Namespace) -> None:
    manifest = lay_out(arguments.directory, arguments.release, arguments.keys)
    print(f"{arguments.directory}: installation of {manifest.version}")


def _pyz(arguments: argparse.Namespace) -> None:
    target = native_file(arguments.directory, arguments.keys, arguments.output)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB; publish its SHA-256 with it")


def _sign_image(arguments: argparse.Namespace) -> None:
    signer, certificate = Signer.load(arguments.key), read(arguments.certificate)
    with engine() as client:
        made = sign_image(client, arguments.unsigned, arguments.tag, signer, certificate)
    print(f"{arguments.tag}: {made}")
