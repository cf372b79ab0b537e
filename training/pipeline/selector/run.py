"""model_selector: its nodes in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from training.pipeline.data import Dataset
from training.pipeline.selector import register, scoring
from training.pipeline.selector.benchmark import Bench, compare_baselines, run_benchmarks
from training.pipeline.selector.choose import choose
from training.pipeline.selector.rationale import explain
from training.pipeline.selector.state import SelectionRequest, SelectionResult, Summary
from training.pipeline.splits import split
from training.pipeline.steps import Blocked, NodeRecorder, Result, Steps
from training.pipeline.tracking import RunTracker, TrackedRun

ORDER = (
    "analyze_historical",
    "filter_algorithms",
    "rank_candidates",
    "run_benchmarks",
    "select_primary_candidate",
    "compare_baselines",
    "generate_rationale",
    "register_selection",
    "summary",
)

OnStart = Callable[[TrackedRun], None]
OnResult = Callable[[SelectionResult], None]


def select(
    data: Dataset,
    request: SelectionRequest,
    recorder: NodeRecorder,
    tracker: RunTracker,
    *,
    run_name: str,
    journal_id: str | None = None,
    tags: dict[str, Any] | None = None,
    on_start: OnStart | None = None,
    on_result: OnResult | None = None,
) -> SelectionResult:
    """Choose an algorithm for `data`.

    `on_start` hears of the run when it is tracked, `on_result` the result so far after each node.
    A gate that says no gives a result with `blocked_by` and ends the MLflow run FAILED.
    """
    selection = _Selection(data, request, recorder, tracker, on_result)
    try:
        with tracker.start_run(
            register.mlflow_experiment(request),
            run_name=run_name,
            journal_id=journal_id,
            tags={
                "experiment_id": request.experiment_id,
                "problem_type": data.problem.value,
                "source": "e2i",
                "role": "selection",
                **(tags or {}),
            },
        ) as run:
            if on_start is not None:
                on_start(run)
            selection.run(run)
    except Blocked as blocked:
        selection.update(blocked_by=blocked.node, reasons=blocked.reasons)
    return selection.result


class _Selection:
    """One selection under way: each node reads typed results of earlier ones."""

    def __init__(
        self,
        data: Dataset,
        request: SelectionRequest,
        recorder: NodeRecorder,
        tracker: RunTracker,
        on_result: OnResult | None,
    ) -> None:
        self._data = data
        self._request = request
        self._recorder = recorder
        self._tracker = tracker
        self._on_result = on_result
        self._steps = Steps(ORDER, recorder)
        self.result = SelectionResult(data.problem)

    def update(self, **found: Any) -> None:
        self.result = replace(self.result, **found)
        if self._on_result is not None:
            self._on_result(self.result)

    def _node(self, name: str, field: str, work: Callable[[], Result]) -> Result:
        """Run a node and keep its result, also when it blocks."""

        def kept() -> Result:
            found = work()
            self.update(**{field: found})
            return found

        return self._steps.run(name, kept)

    def run(self, run: TrackedRun) -> None:
        data, request = self._data, self._request
        problem, limits, rows = data.problem, request.constraints, len(data)
        histories = self._node(
            "analyze_historical",
            "histories",
            lambda: scoring.analyze_history(problem, request.history),
        )
        filtered = self._node(
            "filter_algorithms", "filtered", lambda: scoring.filter_algorithms(problem, limits)
        )
        ranking = self._node(
            "rank_candidates",
            "ranking",
            lambda: scoring.rank(filtered, histories, rows, limits),
        )
        bench = Bench(data, split(data, seed=request.seed), request)
        benchmarks = self._node(
            "run_benchmarks",
            "benchmarks",
            lambda: run_benchmarks(bench, ranking, self._recorder),
        )
        choice = self._node(
            "select_primary_candidate",
            "choice",
            lambda: choose(benchmarks, histories, rows, limits),
        )
        baselines = self._node(
            "compare_baselines", "baselines", lambda: compare_baselines(bench, choice)
        )
        rationale = self._node(
            "generate_rationale",
            "rationale",
            lambda: explain(
                choice=choice,
                benchmarks=benchmarks,
                baselines=baselines,
                histories=histories,
                filtered=filtered,
                ranking=ranking,
                constraints=limits,
                metric=self.result.metric,
            ),
        )
        found = register.Findings(
            data, request, histories, ranking, benchmarks, choice, baselines, rationale
        )
        self._node(
            "register_selection",
            "registered",
            lambda: register.register(self._tracker, run, found),
        )
        summary = Summary(choice.primary, self.result.metric, choice.combined[choice.primary])
        self._steps.run("summary", lambda: summary)
