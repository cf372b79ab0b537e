"""Models in processes of their own: whether they load, how fast they answer, what they need.

Loading a model runs its code, so it gets no secrets, can be killed, and its memory is the model's
alone. A start of Python and an import of MLflow serve all that is asked within a while: the process
behind `probing` forks a child for each model from there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2i_site.core.errors import E2IError
from e2i_site.core.lingering import Lingering

# For one model, whatever is asked of it; who dies or is too late is replaced for what is left.
SECONDS = 300
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "TZ")
_ROOT = Path(__file__).resolve().parents[2]
_processes = Lingering(
    [sys.executable, "-m", "registry.measuring"],
    folder=_ROOT,
    environment={name: os.environ[name] for name in _KEPT if name in os.environ}
    | {"PYTHONPATH": str(_ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"},
    # Commands that measure print one JSON document on theirs.
    stdout=subprocess.DEVNULL,
)


class ProbeFailed(E2IError):
    """A model gave no answer; the message holds what it said last."""


@dataclass(frozen=True)
class Question:
    """One thing to find out about the model in `folder`, whose digest the caller has verified.

    `step` is "module:function", called there as function(subject, **given); see `probing.Subject`.
    Whatever JSON it returns is the reply's value. With `digest` the files are hashed again just
    before they are loaded: other models' code may have run since.
    """

    folder: Path
    step: str
    given: tuple[tuple[str, str], ...] = ()
    digest: str = ""


@dataclass(frozen=True)
class Reply:
    """What a step returned; `problem` is what it raised, `died` how its process ended instead."""

    value: Any = None
    problem: str = ""
    died: str = ""
    seconds: float = 0.0

    def require(self) -> Any:
        """The value. Raises `ProbeFailed` with the reason where there is none."""
        if reason := self.died or self.problem:
            raise ProbeFailed(reason)
        return self.value


def ask(questions: Iterable[Question]) -> dict[Question, Reply]:
    """The replies to all questions, in one start; those about one model share its loading.

    Questions about one model are answered in their order. A model that dies takes none of the
    replies with it that were given before, nor those of another model.
    """
    asked = list(dict.fromkeys(questions))
    if not asked:
        return {}
    with tempfile.TemporaryDirectory(prefix="e2i-probe-") as place:
        reports = {question: Path(place) / f"{at}.json" for at, question in enumerate(asked)}
        plan = Path(place) / "plan"
        plan.write_text(json.dumps({"seconds": SECONDS, "models": _by_model(reports)}))
        _run(plan, SECONDS * len(asked) + 60)
        return {question: _read(report) for question, report in reports.items()}


def _by_model(reports: dict[Question, Path]) -> list[dict[str, Any]]:
    models: dict[tuple[Path, str], list[dict[str, Any]]] = {}
    for question, report in reports.items():
        step = {"step": question.step, "given": dict(question.given), "report": str(report)}
        models.setdefault((question.folder, question.digest), []).append(step)
    return [
        {"folder": str(folder), "digest": digest, "steps": steps}
        for (folder, digest), steps in models.items()
    ]


def _run(plan: Path, seconds: float) -> None:
    try:
        status = _processes.run(str(plan), seconds)
    except TimeoutError:
        raise ProbeFailed(f"The models did not finish within {seconds:g} s.") from None
    if status:
        raise ProbeFailed(f"The process that loads models ended with status {status}.")


def _read(report: Path) -> Reply:
    if not report.exists():
        return Reply(died="The process that loads models left no report.")
    return Reply(**json.loads(report.read_text()))
