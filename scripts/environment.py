#!/usr/bin/env python3
"""Make .venv with the pinned requirements; nothing to do when they have not changed.

Runs with any Python 3 and no packages: `python3 scripts/environment.py [--dev]`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NEEDED = (3, 11)
CANDIDATES = ("python3", "python3.13", "python3.12", "python3.11", "python")


def main() -> int:
    locks = [ROOT / "requirements.txt"]
    if "--dev" in sys.argv[1:]:
        locks.append(ROOT / "requirements-dev.txt")
    try:
        install(locks)
    except Failed as error:
        sys.stderr.write(f"e2i: {error}\n")
        return 2
    return 0


class Failed(Exception):
    """One line for the person at the terminal."""


def install(locks: list[Path]) -> None:
    """Install every lock whose stamp is not of its present content."""
    stale = [lock for lock in locks if not _is_installed(lock)]
    if not stale:
        return
    uv = shutil.which("uv")
    if not PYTHON.exists():
        _make_venv(uv)
    print(f"Installing {' and '.join(lock.name for lock in stale)} into .venv …", flush=True)
    wanted = [word for lock in stale for word in ("-r", str(lock))]
    if not (uv and _runs([uv, "pip", "install", "-q", "--python", str(PYTHON), *wanted])):
        _install_with_pip(wanted)
    # Eight processes start at once; compiled, each needs seconds less. uv leaves that out.
    _runs([str(PYTHON), "-m", "compileall", "-q", "-j", "0", str(_packages())], quiet=True)
    for lock in stale:
        _stamp(lock).write_text(_digest(lock))


def _packages() -> Path:
    """Where the packages are: lib/python3.x/site-packages, or Lib on Windows."""
    return next((VENV / "lib").glob("python3*/site-packages"), VENV / "Lib")


def _install_with_pip(wanted: list[str]) -> None:
    if not _runs([str(PYTHON), "-m", "pip", "--version"], quiet=True) and not _runs(
        [str(PYTHON), "-m", "ensurepip", "--upgrade"], quiet=True
    ):
        raise Failed(
            "This Python has neither pip nor ensurepip. Install uv, or your system's package for "
            "venv and pip (Debian: apt install python3-venv), then try again."
        )
    quiet = ["-q", "--disable-pip-version-check"]
    if not _runs([str(PYTHON), "-m", "pip", "install", *quiet, *wanted]):
        raise Failed("The packages could not be installed; pip says why above.")


def _make_venv(uv: str | None) -> None:
    python = _find_python()
    print(f"Making .venv with {python} …", flush=True)
    # An unfinished one of an earlier try is replaced.
    if uv and _runs([uv, "venv", "-q", "--clear", "--python", python, str(VENV)]):
        return
    if not _runs([python, "-m", "venv", "--clear", str(VENV)]) and not _runs(
        [python, "-m", "venv", "--clear", "--without-pip", str(VENV)]
    ):
        raise Failed(f"{python} cannot make a virtual environment; its message is above.")


def _find_python() -> str:
    """The first Python that is new enough; $PYTHON goes first."""
    given = os.environ.get("PYTHON")
    for name in (given, sys.executable, *CANDIDATES) if given else (sys.executable, *CANDIDATES):
        path = shutil.which(name) if name else None
        if path and _runs(
            [path, "-c", f"import sys; sys.exit(sys.version_info < {NEEDED})"], quiet=True
        ):
            return path
    found = ".".join(map(str, sys.version_info[:2]))
    raise Failed(f"Python 3.11 or newer is needed; found {found}. Name one with PYTHON=/path.")


def _is_installed(lock: Path) -> bool:
    stamp = _stamp(lock)
    return PYTHON.exists() and stamp.exists() and stamp.read_text() == _digest(lock)


def _stamp(lock: Path) -> Path:
    return VENV / f".{lock.stem}.sha256"


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _runs(command: list[str], *, quiet: bool = False) -> bool:
    output = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.run(command, stdout=output, stderr=output, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
