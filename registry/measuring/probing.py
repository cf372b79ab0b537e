"""What the process that loads models does, `python -m registry.measuring`.

It imports what loading takes once and forks a child for each model of a plan. A child answers
its steps in order and reports each as soon as it is done; when it dies, a new one goes on with the
step after. See `probe`, which starts it, for the plan.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from e2i_site.core.errors import E2IError, InvalidInput
from e2i_site.mlflow_connector import models

_LONGEST = 500


class Subject:
    """The model that steps are about: its `folder`, and `model` loaded when first asked for."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder = folder
        self._digest = digest
        self.load_seconds = 0.0

    @cached_property
    def model(self) -> Any:
        """Raises what loading raises, each time it is asked for."""
        if self._digest and models.digest(self.folder) != self._digest:
            raise InvalidInput("Its files were changed after they were verified.")
        started = time.perf_counter()
        loaded = models.load_pyfunc(self.folder)
        self.load_seconds = time.perf_counter() - started
        return loaded


Step = Mapping[str, Any]


def examine(folder: str, digest: str, steps: Sequence[Step], said: str, seconds: int) -> None:
    """Answer `steps` about one model; runs in the child, whose output goes to the file `said`."""
    # Whoever should end it may be gone.
    signal.alarm(seconds + 5)
    with Path(said).open("wb", buffering=0) as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    subject = Subject(Path(folder), digest)
    for step in steps:
        _report(step, **_answer(subject, step))


def _answer(subject: Subject, step: Step) -> dict[str, Any]:
    started = time.perf_counter()
    found: dict[str, Any]
    try:
        module, _, name = str(step["step"]).partition(":")
        found = {"value": getattr(importlib.import_module(module), name)(subject, **step["given"])}
        json.dumps(found)
    except E2IError as error:
        found = {"problem": str(error)[:_LONGEST]}
    except Exception as error:
        found = {"problem": f"{type(error).__name__}: {error}"[:_LONGEST]}
    return {**found, "seconds": time.perf_counter() - started}


def _report(step: Step, **reply: Any) -> None:
    report = Path(step["report"])
    half = report.with_suffix(".half")
    half.write_text(json.dumps(reply))
    half.replace(report)


def supervise(plan: Mapping[str, Any]) -> None:
    """Examine every model of the plan; each step has a report in the end."""
    context = multiprocessing.get_context("forkserver")
    folders = [Path(each["folder"]) for each in plan["models"]]
    ours = ["registry.measuring.probing", "registry.measuring.steps"]
    context.set_forkserver_preload([*models.loading_modules(folders), *ours])
    for model in plan["models"]:
        left = list(model["steps"])
        while left:
            ended = _child(context, model, left, plan["seconds"])
            left = [step for step in left if not Path(step["report"]).exists()]
            if left:
                _report(left.pop(0), died=ended)


def _child(context: Any, model: Mapping[str, Any], steps: Sequence[Step], seconds: int) -> str:
    """Run a child; why it ended, for the step that it did not finish."""
    said = Path(steps[0]["report"]).with_suffix(".said")
    child = context.Process(
        target=examine, args=(model["folder"], model["digest"], steps, str(said), seconds)
    )
    child.start()
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
        return f"The model did not finish within {seconds} s."
    lines = said.read_text(errors="replace").strip().splitlines() if said.exists() else []
    last = lines[-1][:300] if lines else f"status {child.exitcode}"
    return f"The process that loaded the model ended: {last}"
