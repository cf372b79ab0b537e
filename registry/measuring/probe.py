"""A model in a process of its own: whether it loads, how fast it answers, what it needs.

`python -m registry.measuring.probe FOLDER REPORT [--measure] [--rows IN --answers OUT]` loads a
verified model. A process of its own, because loading runs the model's code: it gets no secrets,
can be killed, and its memory is the model's alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2i_site.core.errors import E2IError
from e2i_site.mlflow_connector import models
from registry.measuring.requirements import check_requirements

if TYPE_CHECKING:
    import pandas as pd

    from training.pipeline.arrays import Floats

SECONDS = 300
# How often the input example is answered, and for how long at most.
CALLS = 500
CALL_SECONDS = 10.0
WARM_UP = 20
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "TZ")


class ProbeFailed(E2IError):
    """The process ended without a report; the message holds what it said last."""


@dataclass(frozen=True, eq=False)
class Probed:
    """What the process reported. `answers` (n, k) where it was asked about rows."""

    report: Mapping[str, Any]
    answers: Floats | None


def run(
    model: Path, folder: Path, rows: pd.DataFrame | None = None, *, measure: bool = False
) -> Probed:
    """Probe the model in `model`, whose digest the caller has verified.

    Raises `ProbeFailed` when the process dies or takes over `SECONDS`.
    """
    import numpy as np

    mark = uuid.uuid4().hex
    report, given, out = (folder / f"{mark}.{end}" for end in ("json", "parquet", "npy"))
    arguments = [str(model), str(report)]
    if measure:
        arguments.append("--measure")
    if rows is not None:
        rows.reset_index(drop=True).to_parquet(given)
        arguments += ["--rows", str(given), "--answers", str(out)]
    run_alone("registry.measuring.probe", *arguments)
    answers = np.load(out, allow_pickle=False) if out.exists() else None
    return Probed(json.loads(report.read_text()), answers)


def run_alone(module: str, *arguments: str, given: bytes = b"") -> bytes:
    """What `python -m module` prints, in a process that loads a model's code and gets no secrets.

    `given` is its standard input. Raises `ProbeFailed` when it dies or takes over `SECONDS`.
    """
    root = Path(__file__).resolve().parents[2]
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"PYTHONPATH": str(root), "MLFLOW_DISABLE_TELEMETRY": "true"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            input=given,
            capture_output=True,
            timeout=SECONDS,
            cwd=root,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProbeFailed(f"The model did not finish within {SECONDS} s.") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        last = lines[-1][:300] if lines else f"status {done.returncode}"
        raise ProbeFailed(f"The process that loaded the model ended: {last}")
    return done.stdout


def examine(folder: Path, *, measure: bool, rows: Path | None, answers: Path | None) -> Any:
    """The report on the model in `folder`; called in the process of its own."""
    report: dict[str, Any] = {}
    if measure:
        report["requirements"] = check_requirements(folder / "requirements.txt")
    started = time.perf_counter()
    try:
        model = models.load_pyfunc(folder)
    except Exception as error:
        return {**report, "load_error": f"{type(error).__name__}: {error}"[:500]}
    report["load_seconds"] = time.perf_counter() - started
    if measure:
        report |= _calls(model)
        report["peak_bytes"] = peak_bytes()
    if rows is not None and answers is not None:
        try:
            _answer(model, rows, answers)
        except Exception as error:
            report["rows_error"] = f"{type(error).__name__}: {error}"[:500]
    return report


def _calls(model: Any) -> dict[str, Any]:
    """Answer the model's own input example again and again; milliseconds a call, ascending."""
    try:
        example = model.input_example
        if example is None:
            return {"example_error": "The model brings no input example."}
        for _ in range(WARM_UP):
            model.predict(example)
        taken: list[float] = []
        until = time.perf_counter() + CALL_SECONDS
        while len(taken) < CALLS and time.perf_counter() < until:
            started = time.perf_counter()
            model.predict(example)
            taken.append(1000 * (time.perf_counter() - started))
    except Exception as error:
        return {"example_error": f"{type(error).__name__}: {error}"[:500]}
    return {"milliseconds": sorted(taken), "rows_a_call": len(example)}


def peak_bytes() -> int:
    """The most memory this process has held: ru_maxrss, in kilobytes but for macOS."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _answer(model: Any, rows: Path, answers: Path) -> None:
    import numpy as np
    import pandas as pd

    found = np.asarray(model.predict(pd.read_parquet(rows)), dtype=np.float64)
    np.save(answers, found.reshape(len(found), -1), allow_pickle=False)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--answers", type=Path)
    asked = parser.parse_args()
    report = examine(asked.folder, measure=asked.measure, rows=asked.rows, answers=asked.answers)
    asked.report.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
