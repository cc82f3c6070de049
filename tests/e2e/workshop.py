"""Makes images for tests of updates: the agent's with root keys, and those of the releases it updates to."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e.releases import Change, Release, Signer, Sources
from engine import LABEL

from agent import __version__

REPOSITORY = "dmatest/dockmon-agent"
ROOT = "opt/dockmon-agent"
DEADLINE_S = 300

GOOD_VERSION, BAD_VERSION, LATE_VERSION = "3.1.0", "3.1.1", "3.1.2"

AGENT_TAG = "-agent"
"""How the tags of images end that agents are run from, and not updated to."""

VERSION_LABEL = "org.opencontainers.image.version"

FAULTS = Path(__file__).parent / "armed_faults.py"


class Workshop:
    """`with` removes what it made. Blocks, for it works before a test's loop runs, or between its steps.

    Args:
        image: The agent's, without root keys.
        directory: For releases.
        address: The registry's.
    """

    def __init__(self, image: str, directory: Path, address: str) -> None:
        self.signer = Signer()
        self._image, self._directory = image, directory
        self._repository = f"{address}/{REPOSITORY}-{secrets.token_hex(4)}"
        self._tags: list[str] = []
        self._numbers = iter(range(1_000_000))

    def __enter__(self) -> Self:
        unpacked = self._unpacked()
        self.launcher, self.baked = unpacked / "launcher", Release(unpacked / "release")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for tag in self._tags:
            _docker("rmi", "--force", tag)

    def reference(self, tag: str) -> str:
        return f"{self._repository}:{tag}"

    def agent_image(
        self,
        name: str = "",
        *,
        version: str = __version__,
        change: Change | None = None,
        launcher_change: Change | None = None,
        faults: bool = False,
        has_keys: bool = True,
    ) -> str:
        """The agent's image with our root key in it, and in our repository; it stays on this engine.

        Args:
            name: Tells it from others of the same version.
            version: Of the baked release.
            change: What else is other in that.
            launcher_change: What is other in the launcher.
            faults: Whether the fault points can be armed, in the launcher and in the baked release.
            has_keys: Whether the root key is in it.
        """
        context = self._new_directory()
        context.mkdir()
        lines = [f"FROM {self._image}", f"LABEL {VERSION_LABEL}={version}"]
        if has_keys:
            (context / "test.pub").write_text(self.signer.root_key)
            lines += [f"COPY test.pub /{ROOT}/keys/test.pub"]
        if faults or change or version != __version__:
            release = self._variant(context / "release", version, change, faults=faults)
            release.seal(None, version=version)
            lines += [f"RUN rm -rf /{ROOT}/release", f"COPY release /{ROOT}/release"]
        if faults or launcher_change:
            shutil.copytree(self.launcher, context / "launcher")
            launcher = Sources(context / "launcher")
            if faults:
                launcher.write("agent/faults.py", FAULTS.read_text())
            if launcher_change:
                launcher_change(launcher)
            lines += [f"RUN rm -rf /{ROOT}/launcher", f"COPY launcher /{ROOT}/launcher"]
        (context / "Dockerfile").write_text("\n".join([*lines, ""]))
        reference = self.reference(f"{version}{name}{AGENT_TAG}")
        _docker("build", "--quiet", "--tag", reference, "--label", f"{LABEL}=1", str(context))
        self._tags.append(reference)
        return reference

    def release(
        self,
        version: str,
        change: Change | None = None,
        /,
        *,
        faults: bool = False,
        signer: Signer | None = None,
        is_signed: bool = True,
        **manifest: object,
    ) -> Release:
        """A release like the baked one.

        Args:
            change: What else is other in it, before it is sealed.
            faults: Whether its fault points can be armed.
            signer: None: the one whose root key the agent has.
            manifest: Fields of its manifest.
        """
        release = self._variant(self._new_directory() / "release", version, change, faults=faults)
        used = (signer or self.signer) if is_signed else None
        release.seal(used, **{"version": version, **manifest})
        return release

    def publish(self, release: Release, tag: str, *, label: str | None = None) -> str:
        """Pushes an image with nothing in it but the release, and takes it off this engine. Returns its reference.

        What was published under that tag before is not to be had any more.

        Args:
            label: The version on the image; None: that of the tag.
        """
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(release.directory, f"{ROOT}/release")
        reference = self.reference(tag)
        _docker(
            *("import", "--change", f"LABEL {VERSION_LABEL}={label or tag}"),
            *("--change", f"LABEL {LABEL}=1", "-", reference),
            given=archive.getvalue(),
        )
        try:
            _docker("push", "--quiet", reference)
        finally:
            _docker("rmi", "--force", reference)
        return reference

    def save(self, reference: str) -> Path:
        """An image as a file, for another engine to load."""
        path = self._new_directory()
        _docker("save", "--output", str(path), reference)
        return path

    def _variant(
        self, directory: Path, version: str, change: Change | None, *, faults: bool
    ) -> Release:
        release = self.baked.copy(directory)
        if version != __version__:
            release.set_version(version)
        if faults:
            release.write("site-packages/agent/faults.py", FAULTS.read_text())
        if change is not None:
            change(release)
        return release

    def _unpacked(self) -> Path:
        """ROOT of the image."""
        container = _docker("create", "--label", f"{LABEL}=1", self._image).strip()
        directory = self._new_directory()
        try:
            _docker("cp", f"{container}:/{ROOT}", str(directory))
        finally:
            _docker("rm", container)
        return directory

    def _new_directory(self) -> Path:
        return self._directory / str(next(self._numbers))


def _docker(*words: str, given: bytes | None = None) -> str:
    told = subprocess.run(
        ["docker", *words],
        input=given if given is not None else b"",
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},  # the builder that is there everywhere
    )
    assert told.returncode == 0, f"docker {' '.join(words)}: {told.stderr.decode(errors='replace')}"
    return told.stdout.decode()
