"""The audit of a small real system: seconds and requests to MLflow, by check.

The system is made by the site's own actions: a data set, an experiment, a training whose trials
are runs in a real MLflow server, and the mirror. Compared with the plain way of reading the same
runs for an audit: one request a run.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks._harness import Report, parser, say
from benchmarks._parts import folder, mlflow_server, set_up_site

AUDITS = 3


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--trials", type=int, help="runs in MLflow besides the training's own")
    options = arguments.parse_args()
    trials = options.trials or (500 if options.full else 25)
    report = Report("audit", {"trials": trials, "audits": AUDITS})
    with folder() as place, mlflow_server(place / "mlflow") as url:
        set_up_site(place / "site", mlflow=url)
        build(trials)
        measure(report, url)
    report.notes += [
        "Seconds are the median of the audits. The audit reads runs in bulk, some hundred a "
        "request, also registry and experiments, and judges; the comparison only reads the runs.",
        "A check that fails or is inconclusive here is an answer about this small system, in "
        "which nothing was promoted, not an error of the benchmark.",
        "The number of requests hardly grows with the runs; with few runs the fixed part rules.",
    ]
    report.finish()


def build(trials: int) -> None:
    """Train once with so many trials, and mirror what MLflow then has."""
    from e2i_site.jobs import runner
    from registry.sync import sync
    from training.actions.create_experiment import create_experiment
    from training.actions.import_dataset import import_shipped
    from training.actions.request_training import request_training

    dataset = import_shipped(
        actor=None, name="cancer", location="breast_cancer", target="benign", description=""
    )
    experiment = create_experiment(
        actor=None,
        experiment_id="bench-audit",
        name="Benign or malignant",
        dataset=dataset,
        criteria={"minimum_auc": 0.9},
    )
    begun = time.perf_counter()
    run = request_training(
        actor=None, experiment=experiment, algorithm="LogisticRegression", trials=trials
    )
    if run.job is None:
        raise RuntimeError("The training has no job.")
    runner.run(run.job.pk)
    run.refresh_from_db()
    if run.status != "finished":
        raise RuntimeError(f"The training ended {run.status}: {run.job.message}")
    sync(full=True)
    say(f"trained and mirrored in {time.perf_counter() - begun:.1f} s")


def measure(report: Report, url: str) -> None:
    from training.models import TrainingRun

    run_ids = list(
        TrainingRun.objects.exclude(mlflow_run_id=None).values_list("mlflow_run_id", flat=True)
    )
    report.sizes["runs"] = len(run_ids)
    one_by_one(url, run_ids[:5])  # MLflow's first answers are slow
    audits, naive = [audit()], [one_by_one(url, run_ids)]
    for _ in range(AUDITS - 1):
        audits.append(audit())
        naive.append(one_by_one(url, run_ids))
    total = statistics.median(each["seconds"] for each in audits)
    report.add("whole audit", total, "s", theirs=statistics.median(naive))
    report.add("requests to MLflow", audits[-1]["requests"], "requests", theirs=len(run_ids))
    last = audits[-1]["results"]
    report.sizes |= {"checks": len(last), "subjects": sum(each.subjects for each in last)}
    for result in last:
        times = [_seconds_of(each["results"], result.check_id) for each in audits]
        what = f"check {result.check_id}, {result.subjects} subjects, {result.outcome}"
        report.add(what, statistics.median(times), "s")


def audit() -> dict[str, Any]:
    """One whole audit: its results, wall time and requests."""
    from e2i_site.audit.runner import execute, prepare
    from e2i_site.mlflow_connector import count_requests

    begun = time.perf_counter()
    with count_requests() as counter:
        run = execute(prepare())
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "requests": counter.value, "results": list(run.results.all())}


def one_by_one(url: str, run_ids: list[str]) -> float:
    """Seconds to get each run with a request of its own, over one connection."""
    import httpx

    begun = time.perf_counter()
    with httpx.Client(timeout=60) as client:
        for run_id in run_ids:
            address = f"{url}/api/2.0/mlflow/runs/get"
            client.get(address, params={"run_id": run_id}).raise_for_status().json()
    return time.perf_counter() - begun


def _seconds_of(results: list[Any], check_id: str) -> float:
    return next(float(each.seconds) for each in results if each.check_id == check_id)


if __name__ == "__main__":
    main()
