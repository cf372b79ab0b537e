"""What the registry measures of a version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from registry.measuring.base import Found, Impossible, measures
from registry.measuring.bench import REQUIREMENTS, SERVE, Bench

if TYPE_CHECKING:
    from registry.gates.needs import Want
    from registry.measuring.probe import Question


def _own_answers(bench: Bench, want: Want) -> Iterable[Question]:
    return bench.questions_about(bench.entry)


def _both_answers(bench: Bench, want: Want) -> Iterable[Question]:
    comparable = want.against is not None and bench.same_rows(want.against)
    return bench.questions_about(bench.entry, want.against) if comparable else ()  # type: ignore[arg-type]


@measures("test_metrics", asks=_own_answers)
def test_metrics(bench: Bench, want: Want) -> Found:
    """Every metric of the version's own answers on its test rows, with 95 % intervals."""
    from registry.measuring.quality import calibration, measured, probabilities

    exam, problem = bench.examination, bench.examination.table.problem
    answers, threshold = bench.answers(bench.entry), _threshold(bench, bench.entry)
    found: dict[str, Any] = {
        "problem": problem.value,
        "primary": bench.run_of(bench.entry).primary_metric,
        "threshold": threshold,
        "claimed": bench.run_of(bench.entry).test_metrics,
        "metrics": measured(problem, exam.truth, answers, threshold, exam.groups),
    }
    if problem.is_classification:
        found["calibration"] = calibration(*probabilities(exam.truth, answers), exam.groups)
    return Found(found, sample_size=len(exam.rows), inputs=_inputs(bench))


@measures("paired_difference", asks=_both_answers)
def paired_difference(bench: Bench, want: Want) -> Found:
    """The version against another on the same test rows, by a paired bootstrap."""
    from registry.measuring.quality import difference

    other = want.against
    assert other is not None
    if not bench.same_rows(other):
        raise Impossible(
            f"{other} was tested on other rows than {bench.entry}; they cannot be compared."
        )
    exam = bench.examination
    found = difference(
        exam.table.problem,
        exam.truth,
        (bench.answers(bench.entry), _threshold(bench, bench.entry)),
        (bench.answers(other), _threshold(bench, other)),
        exam.groups,
    )
    inputs = {**_inputs(bench), "champion": str(other), "champion_digest": other.artifact_digest}
    return Found({"metrics": found}, sample_size=len(exam.rows), inputs=inputs)


@measures("slices", asks=_own_answers)
def slices(bench: Bench, want: Want) -> Found:
    """One metric in each slice of each named column of the test rows."""
    from registry.measuring.slices import by_column

    exam = bench.examination
    found = by_column(
        exam,
        bench.answers(bench.entry),
        _threshold(bench, bench.entry),
        want.specification["columns"],
        want.specification["metric"] or bench.run_of(bench.entry).primary_metric,
    )
    return Found(found, sample_size=len(exam.rows), inputs=_inputs(bench))


@measures("serving", asks=lambda bench, want: [bench.question(SERVE)])
def serving(bench: Bench, want: Want) -> Found:
    """Loading, latency on the input example, and peak memory, in a process of its own."""
    reply = bench.reply(bench.question(SERVE))
    if reply.problem:
        return Found({"problem": reply.problem}, inputs=_bytes(bench))
    report = reply.require()
    taken = report["milliseconds"]
    return Found(
        {
            "p50_ms": _quantile(taken, 0.50),
            "p99_ms": _quantile(taken, 0.99),
            "p99_interval_ms": _order_interval(taken, 0.99),
            "peak_mb": report["peak_bytes"] / 1e6,
            "load_seconds": report["load_seconds"],
            "rows_a_call": report["rows_a_call"],
            "histogram": _histogram(taken),
        },
        sample_size=len(taken),
        inputs=_bytes(bench),
    )


@measures("requirements", asks=lambda bench, want: [bench.question(REQUIREMENTS)])
def requirements(bench: Bench, want: Want) -> Found:
    """The lines of the model's requirements.txt, each pinned, installed and importable or not."""
    rows = bench.reply(bench.question(REQUIREMENTS)).require()
    if rows is None:
        raise Impossible("The model brings no requirements.txt.")
    return Found({"requirements": rows}, sample_size=len(rows), inputs=_bytes(bench))


@measures("files")
def files(bench: Bench, want: Want) -> Found:
    """The digest of the files that MLflow hands out now, and whether our signature covers them."""
    from registry.measuring.signing import verify

    folder, digest = bench.downloaded(bench.entry)
    return Found({"digest": digest, "signature": verify(bench.entry, folder)}, inputs=_bytes(bench))


def _threshold(bench: Bench, entry: Any) -> float | None:
    threshold: float | None = bench.run_of(entry).threshold
    if threshold is None and bench.examination.table.problem.value == "binary":
        raise Impossible(f"The run of {entry} recorded no decision threshold.")
    return threshold


def _bytes(bench: Bench) -> dict[str, Any]:
    return {"artifact_digest": bench.entry.artifact_digest}


def _inputs(bench: Bench) -> dict[str, Any]:
    return {**_bytes(bench), **bench.examination.inputs}


def _quantile(ascending: list[float], share: float) -> float:
    """The smallest value that at least `share` of the calls did not exceed."""
    import math

    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


def _order_interval(ascending: list[float], share: float) -> list[float | None]:
    """A distribution-free 95 % interval of a quantile from order statistics; None where open.

    Hahn and Meeker 1991, section 5.2.
    """
    from scipy.stats import binom

    n = len(ascending)
    low = int(binom.ppf(0.025, n, share)) - 1
    high = int(binom.ppf(0.975, n, share))
    return [ascending[low] if low >= 0 else None, ascending[high] if high < n else None]


def _histogram(ascending: list[float]) -> dict[str, Any]:
    """Counts in twelve bins up to the 99th percentile; what is slower is in the last one."""
    import numpy as np

    top = _quantile(ascending, 0.99)
    edges = np.linspace(ascending[0], max(top, ascending[0] + 1e-6), 13)
    counts, _ = np.histogram(np.minimum(ascending, top), edges)
    return {"edges": edges.round(4).tolist(), "counts": counts.tolist()}
