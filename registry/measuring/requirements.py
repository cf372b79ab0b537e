"""Whether what a model says it needs is pinned, installed here in that version, and importable."""

from __future__ import annotations

import functools
import importlib
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement


def check_requirements(file: Path) -> list[dict[str, Any]] | None:
    """One row a requirement of a model's requirements.txt; None where there is no such file.

    Each row: the line, whether one exact version is pinned, which version is installed here, and
    why its modules do not import ("" when they do). Imports them: call it in a process of its own.
    """
    if not file.is_file():
        return None
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return [_check(line) for line in lines if line]


def _check(line: str) -> dict[str, Any]:
    try:
        wanted = Requirement(line)
    except InvalidRequirement as error:
        return _row(line, problem=f"cannot be read: {str(error).splitlines()[0]}")
    if wanted.marker is not None and not wanted.marker.evaluate():
        return _row(line, pinned=_is_pinned(wanted))
    owner = _installed(wanted.name)
    if owner is None:
        return _row(line, pinned=_is_pinned(wanted), problem="is not installed here")
    installed = metadata.version(owner)
    problem = ""
    if not wanted.specifier.contains(installed, prereleases=True):
        problem = f"{installed} is installed here"
    return _row(
        line,
        pinned=_is_pinned(wanted),
        installed=installed if _same(owner, wanted.name) else f"{installed} ({owner})",
        problem=problem or _import_problem(owner),
    )


def _installed(name: str) -> str | None:
    """The installed distribution: of that name, else one that brings the module of that name.

    A build of a library has another name and the same module: xgboost-cpu brings xgboost.
    """
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return next(iter(_owners().get(name.replace("-", "_"), ())), None)
    return name


def _same(one: str, other: str) -> bool:
    return one.replace("_", "-").lower() == other.replace("_", "-").lower()


def _row(
    line: str, *, pinned: bool = False, installed: str = "", problem: str = ""
) -> dict[str, Any]:
    return {"requirement": line, "pinned": pinned, "installed": installed, "problem": problem}


def _is_pinned(wanted: Requirement) -> bool:
    """One exact version: name==1.2.3, not a range and not 1.2.*."""
    parts = list(wanted.specifier)
    return len(parts) == 1 and parts[0].operator in ("==", "===") and "*" not in parts[0].version


def _import_problem(name: str) -> str:
    """Why none of the distribution's modules imports; "" when one does."""
    modules = [
        module
        for module, owners in _owners().items()
        if any(_same(owner, name) for owner in owners)
        and module.isidentifier()
        and not module.startswith("_")
    ]
    problem = "" if not modules else "does not import"
    for module in sorted(modules):
        try:
            importlib.import_module(module)
        except Exception as error:
            problem = f"{module} does not import: {type(error).__name__}: {error}"[:200]
        else:
            return ""
    return problem


@functools.cache
def _owners() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())
