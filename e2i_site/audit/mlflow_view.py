"""MLflow as one audit sees it: read in bulk, once, and shared by all checks of the run."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2i_site.mlflow_connector import MLflowConnector
    from e2i_site.mlflow_connector.types import Experiment, ModelVersion, RegisteredModel, Run

# Run ids in one search: MLflow answers a thousand in under a second.
IDS_A_SEARCH = 500


class MlflowView:
    """Lazy and cached. Every read may raise the connector's `Unreachable`."""

    def __init__(self) -> None:
        self._runs: dict[str, Run | None] = {}

    @cached_property
    def connector(self) -> MLflowConnector:
        """The door to MLflow, for what has to be read afresh."""
        from e2i_site.mlflow_connector import get_connector

        return get_connector()

    @cached_property
    def experiments(self) -> dict[str, Experiment]:
        """All experiments by id, deleted ones too."""
        return {each.experiment_id: each for each in self.connector.iter_experiments(view="ALL")}

    @cached_property
    def models(self) -> dict[str, RegisteredModel]:
        """All registered models by name, with their aliases."""
        return {each.name: each for each in self.connector.iter_registered_models()}

    @cached_property
    def versions(self) -> dict[tuple[str, int], ModelVersion]:
        """All model versions by (name, version); their aliases are with the models."""
        found = self.connector.iter_model_versions()
        return {(each.name, int(each.version)): each for each in found}

    def runs(self, run_ids: Iterable[str]) -> dict[str, Run]:
        """The runs with these ids, deleted ones too; an id that MLflow does not know is absent."""
        wanted = dict.fromkeys(run_ids)
        self._read([each for each in wanted if each not in self._runs])
        unknown = [each for each in wanted if self._runs[each] is None]
        if unknown and self._has_new_experiments():
            self._read(unknown)
        return {each: run for each in wanted if (run := self._runs[each]) is not None}

    def _read(self, run_ids: list[str]) -> None:
        for begin in range(0, len(run_ids), IDS_A_SEARCH):
            some = run_ids[begin : begin + IDS_A_SEARCH]
            listed = ", ".join(f"'{_quotable(each)}'" for each in some)
            found = self.connector.iter_runs(
                list(self.experiments), filter=f"attributes.run_id IN ({listed})", view="ALL"
            )
            by_id = {run.run_id: run for run in found}
            self._runs.update({each: by_id.get(each) for each in some})

    def _has_new_experiments(self) -> bool:
        """Read the experiments again: a run may lie in one that was made during the audit."""
        before = set(self.experiments)
        del self.experiments
        return not set(self.experiments) <= before


def _quotable(run_id: str) -> str:
    """A run id fit for a search expression; what no MLflow id can be matches nothing."""
    return run_id if run_id.isalnum() else "no-such-run"
