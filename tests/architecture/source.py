"""Reading the project's own source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("e2i_site", "training", "registry", "deployments")


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Path from the root and syntax tree of every module in `folders`, migrations left out."""
    for path in python_files(*folders):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders or PACKAGES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module that is imported anywhere in `tree`, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
