"""Releases for tests: a small one that is true to the format, and the real one from what is installed here."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import tomllib
from pathlib import Path

from agent.release.keys import Signer, generate

REPOSITORY = Path(__file__).parents[2]

_PACKAGE = REPOSITORY / "agent"
_KEPT = ("faults.py", "release_archive.py", "release_layout.py", "launcher", "installer")


def small_release(directory: Path, version: str = "3.1.0") -> Path:
    """What `release manifest` can describe, with the launcher and the installer of this tree."""
    package = directory / "site-packages" / "agent"
    shutil.copytree(_PACKAGE, package, ignore=_all_but_kept)
    (package / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (directory / "start.py").write_text("print('started')\n")
    return directory


def _all_but_kept(path: str, names: list[str]) -> set[str]:
    if Path(path) == _PACKAGE:
        return set(names) - {*_KEPT}
    return {"__pycache__"}


def install_what_is_here(site: Path) -> None:
    """Copies this project and all it depends on into `site`, as pip would put them there."""
    site.mkdir(parents=True)
    for name in ("agent", "statecharts"):
        shutil.copytree(REPOSITORY / name, site / name)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    waiting, seen = list(project["dependencies"]), set[str]()
    while waiting:
        wanted = waiting.pop()
        found = re.match(r"[A-Za-z0-9._-]+", wanted)
        if found is None or found[0] in seen or "extra ==" in wanted:
            continue
        seen.add(found[0])
        try:
            distribution = importlib.metadata.distribution(found[0])
        except importlib.metadata.PackageNotFoundError:
            continue  # it is for another platform
        waiting += distribution.requires or []
        _copy(distribution, site)


def _copy(distribution: importlib.metadata.Distribution, site: Path) -> None:
    for file in distribution.files or ():
        if ".." in file.parts or file.suffix == ".pyc":
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(distribution.locate_file(file)), target)


class Ceremony:
    """Keys as a maintainer has them, in files: two levels, and the directory of what hosts trust."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.root_key, self.key = directory / "root.key", directory / "signing.key"
        self.trusted = directory / "trusted"
        self.trusted.mkdir()
        generate(self.root_key).rename(self.trusted / "root.pub")
        generate(self.key)
        self.certificate = directory / "signing.cert"
        signing = Signer.load(self.key).public
        self.certificate.write_bytes(Signer.load(self.root_key).certify(signing))

    def sign(self, release: Path) -> Path:
        signature = Signer.load(self.key).sign(
            (release / "manifest.json").read_bytes(), self.certificate.read_bytes()
        )
        (release / "manifest.sig").write_bytes(signature)
        return release
