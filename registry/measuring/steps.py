"""Steps that a model goes through in its own process; see `probing`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from e2i_site.core.errors import InvalidInput
from registry.measuring.memory import peak_alone
from registry.measuring.requirements import check_requirements

if TYPE_CHECKING:
    from registry.measuring.probing import Subject

# How often the input example is answered, and for how long at most.
CALLS = 500
CALL_SECONDS = 10.0
WARM_UP = 20


def serve(subject: Subject) -> dict[str, Any]:
    """Answer the model's own input example again and again; milliseconds a call, ascending.

    Asked first of its process, the peak is what loading and serving take, and nothing else.
    """
    model = subject.model
    example = model.input_example
    if example is None:
        raise InvalidInput("The model brings no input example.")
    for _ in range(WARM_UP):
        model.predict(example)
    taken: list[float] = []
    until = time.perf_counter() + CALL_SECONDS
    while len(taken) < CALLS and time.perf_counter() < until:
        started = time.perf_counter()
        model.predict(example)
        taken.append(1000 * (time.perf_counter() - started))
    return {
        "milliseconds": sorted(taken),
        "rows_a_call": len(example),
        "load_seconds": subject.load_seconds,
        "peak_bytes": peak_alone(),
    }


def answer_rows(subject: Subject, rows: str, answers: str) -> dict[str, Any]:
    """Answer the rows of a Parquet file; the answers (n, k) are written to `answers`."""
    import numpy as np
    import pandas as pd

    found = np.asarray(subject.model.predict(pd.read_parquet(rows)), dtype=np.float64)
    np.save(answers, found.reshape(len(found), -1), allow_pickle=False)
    return {"rows": len(found)}


def requirements(subject: Subject) -> list[dict[str, Any]] | None:
    """The lines of the model's requirements.txt; see `check_requirements`."""
    return check_requirements(subject.folder / "requirements.txt")
