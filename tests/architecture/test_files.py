"""Habits that show in the text of files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT, python_files

LIMIT = 400
# Longer files, each with the reason why splitting it would make it worse.
LONG = {
    "tests/mlflow_connector/test_tracking.py": "one journal's life, told in one place",
}
# A page that is downloaded and opened from disk: no server is there to give it a style sheet.
STANDS_ALONE = {"templates/audit/report_document.html"}
INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")|<style\b|\sstyle=|\son[a-z]+=|javascript:",
    re.IGNORECASE,
)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("folder", [*PACKAGES, "tests", "benchmarks", "scripts"])
def test_no_file_grows_beyond_one_room(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in python_files(folder)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LIMIT
    }
    assert not set(long) - set(LONG), long
    listed = {path for path in LONG if path.startswith(f"{folder}/")}
    assert not listed - set(long), "no longer long: take it off the list"


def test_no_script_or_style_inside_templates() -> None:
    assert TEMPLATES
    wrong = {
        str(path.relative_to(ROOT)): found.group()
        for path in TEMPLATES
        if str(path.relative_to(ROOT)) not in STANDS_ALONE
        if (found := INLINE.search(_without_comments(path.read_text(encoding="utf-8"))))
    }
    assert not wrong


def test_every_link_leads_somewhere() -> None:
    """`href="#"` with only htmx behind it is dead without scripts."""
    wrong = [
        str(path.relative_to(ROOT))
        for path in TEMPLATES
        if path.name != "design.html"  # Specimens, which lead nowhere.
        if re.search(r"href=(\"#\"|'#'|\"\")", path.read_text(encoding="utf-8"))
    ]
    assert not wrong


def test_every_variable_that_is_read_is_documented() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    documented = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    read = {
        name
        for path in python_files()
        for name in re.findall(
            r"\benv\.(?:text|flag|number|integer|port|items|url|database|mail|networks)\(\s*\"([A-Z0-9_]+)\"",
            path.read_text(encoding="utf-8"),
        )
    }
    assert read
    assert not read - documented


def test_nothing_that_belongs_to_one_machine_is_kept() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    wrong = [
        name
        for name in listed
        if name.endswith((".pyc", ".sqlite3", ".log", ".key"))
        or Path(name).parts[0] in {"var", ".venv"}
        or Path(name).name == ".env"
    ]
    assert not wrong


def _without_comments(text: str) -> str:
    return re.sub(r"{#.*?#}|{% comment %}.*?{% endcomment %}|<!--.*?-->", "", text, flags=re.DOTALL)
