"""The content-addressed store of model files: what was approved is found by its digest."""

from __future__ import annotations

import shutil
import stat
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from e2i_site.core.errors import E2IError, InvalidInput
from e2i_site.mlflow_connector import models

_HEX = frozenset("0123456789abcdef")


def example_file(files: Path) -> Path:
    """Where a model in `files` keeps the request that it brings as its example."""
    return files / "serving_input_example.json"


def input_example(files: Path) -> bytes | None:
    """The request that the model in `files` brings as its example, if it brings one."""
    example = example_file(files)
    return example.read_bytes() if example.exists() else None


class DigestMismatch(E2IError):
    """The bytes are not the ones that were approved. Nothing of them may be loaded."""


@dataclass(frozen=True)
class Check:
    """Whether stored files are what their address says; `message` is a sentence for people."""

    ok: bool
    message: str


class ArtifactStore:
    """Model directories under `root`/sha256/<digest>/, read-only once they are there."""

    def __init__(self, root: Path) -> None:
        self._root = root / "sha256"

    def path(self, digest: str) -> Path:
        """Where the files of `digest` are, or would be. InvalidInput for what is no digest."""
        if len(digest) != 64 or not _HEX.issuperset(digest):
            raise InvalidInput(f"{digest[:80]!r} is not a SHA-256 digest in hexadecimal.")
        return self._root / digest

    def has(self, digest: str) -> bool:
        return self.path(digest).is_dir()

    def verify(self, digest: str) -> Check:
        """Hash the stored files anew and compare."""
        path = self.path(digest)
        if not path.is_dir():
            return Check(False, f"The store has no files for sha256:{digest[:12]}….")
        try:
            found = models.digest(path)
        except (OSError, InvalidInput) as error:
            return Check(False, f"The files of sha256:{digest[:12]}… cannot be read: {error}")
        if found != digest:
            return Check(
                False,
                f"The files stored for sha256:{digest[:12]}… now hash to {found[:12]}…: they were "
                "changed on disk.",
            )
        return Check(True, f"The stored files match sha256:{digest[:12]}….")

    def fetch(self, digest: str, download: Callable[[Path], None]) -> Path:
        """The verified files of `digest`; `download(directory)` makes them where they are not here.

        The move into place is atomic: readers see all files or none. Files that went bad on disk
        are put aside and fetched again. Raises DigestMismatch when the download is something else.
        """
        target = self.path(digest)
        if self.has(digest):
            if self.verify(digest).ok:
                return target
            self._put_aside(target)
        folder = self._new_directory("incoming")
        staging = folder / "model"
        try:
            download(staging)
            found = models.digest(staging)
            if found != digest:
                raise DigestMismatch(
                    f"MLflow's files hash to sha256:{found[:12]}…, approved was "
                    f"sha256:{digest[:12]}…. Nothing of them was loaded."
                )
            self._move(staging, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return target

    def _new_directory(self, kind: str) -> Path:
        path = self._root / f".{kind}-{uuid.uuid4().hex}"
        path.mkdir(parents=True, mode=0o700)
        return path

    def _put_aside(self, target: Path) -> None:
        target.chmod(0o700)
        target.rename(self._root / f".bad-{target.name[:16]}-{uuid.uuid4().hex[:8]}")

    def _move(self, staging: Path, target: Path) -> None:
        _protect(staging)
        try:
            staging.rename(target)
        except OSError:
            # Another worker was first; its files were verified the same way.
            if not self.has(target.name):
                raise


def _protect(directory: Path) -> None:
    """Read-only files, so that nobody changes them by accident."""
    for path in directory.rglob("*"):
        if path.is_file():
            path.chmod(stat.S_IRUSR | stat.S_IRGRP)
