"""Delivery of a journal to MLflow, in order and exactly once in effect.

Every operation may be begun again after a crash or a lost answer: what MLflow made is found by
its tag or by its link before it is made, and everything else states a value.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from e2i_site.mlflow_connector import params
from e2i_site.mlflow_connector.errors import Conflict, MLflowError, NotFound, Rejected, Unreachable
from e2i_site.mlflow_connector.journal import Journal, Operation, ReplayResult, State
from e2i_site.mlflow_connector.types import LoggedModel, ModelVersion, Run

if TYPE_CHECKING:
    from e2i_site.mlflow_connector.connector import MLflowConnector

logger = logging.getLogger(__name__)

JOURNAL_TAG = "e2i.journal_id"
OPERATION_TAG = "e2i.journal_operation"


class Delivery:
    """Delivers one journal. Use it under the journal's delivery lock."""

    def __init__(self, connector: MLflowConnector, journal: Journal) -> None:
        self._connector = connector
        self._transport = connector.transport
        self._journal = journal
        self._state = journal.state()
        self._operations: dict[str, Callable[[Operation], None]] = {
            "start": self._start,
            "batch": self._batch,
            "dataset": self._dataset,
            "artifact": self._artifact,
            "model": self._model,
            "end": self._end,
        }

    def run(self, until: int | None = None) -> ReplayResult:
        """Deliver the operations that wait, those before `until` only if it is given.

        Raises:
            Unreachable: MLflow does not answer; what was delivered is remembered.
            Rejected: MLflow refuses access, or refuses to make the run.
        """
        if finished := self._journal.delivered():
            return finished
        for operation in self._journal.operations(self._state.position, self._state.offset):
            if until is not None and operation.number >= until:
                break
            self._deliver(operation)
        result = replace(as_result(self._journal, self._state), done=self._state.ended)
        if result.done:
            self._journal.retire(result)
        return result

    def _deliver(self, operation: Operation) -> None:
        try:
            self._operations[operation.kind](operation)
        except Unreachable:
            raise
        except MLflowError as error:
            if operation.kind == "start" or (isinstance(error, Rejected) and error.is_access):
                raise
            problem = f"{operation.kind} {operation.number}: {error}"
            logger.warning("MLflow refused %s of %s", problem, self._journal.journal_id)
            self._state = replace(self._state, problems=(*self._state.problems, problem))
        self._save(
            position=operation.number + 1, offset=operation.end, ended=operation.kind == "end"
        )

    def _save(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)
        self._journal.save_state(self._state)

    @property
    def _run_id(self) -> str:
        if self._state.run_id is None:
            raise NotFound("The run was not made.")
        return self._state.run_id

    def _start(self, operation: Operation) -> None:
        data = operation.data
        parent = self._parent_run(data)
        experiment = self._connector.get_or_create_experiment(data["experiment"])
        run = self._existing_run(experiment.experiment_id)
        if run is None:
            tags = {**data["tags"], JOURNAL_TAG: self._journal.journal_id}
            if parent:
                tags["mlflow.parentRunId"] = parent
            made = self._transport.write(
                "POST",
                "runs/create",
                experiment_id=experiment.experiment_id,
                run_name=data["run_name"],
                start_time=data["start_time"],
                user_id=tags.get("mlflow.user", ""),
                tags=_listed(tags),
            )
            run = Run.parse(made["run"])
        self._save(
            run_id=run.run_id, experiment_id=run.experiment_id, artifact_uri=run.artifact_uri
        )

    def _existing_run(self, experiment_id: str) -> Run | None:
        filter = f"tags.`{JOURNAL_TAG}` = '{self._journal.journal_id}'"
        return next(iter(self._connector.iter_runs([experiment_id], filter=filter)), None)

    def _parent_run(self, data: dict[str, Any]) -> str | None:
        """The MLflow id of the parent; its journal is delivered first as far as needed."""
        if data.get("parent_run_id"):
            return str(data["parent_run_id"])
        if not (parent_id := data.get("parent")):
            return None
        return self._connector.run_id_of_journal(parent_id)

    def _batch(self, operation: Operation) -> None:
        """Parameters, tags and metrics. MLflow drops a metric that it has already."""
        for part in ("params", "tags", "metrics"):
            most = params.METRICS_PER_BATCH if part == "metrics" else params.PARAMS_PER_BATCH
            for batch in params.batches(operation.data.get(part) or [], most):
                self._transport.write(
                    "POST", "runs/log-batch", repeat=True, run_id=self._run_id, **{part: batch}
                )

    def _dataset(self, operation: Operation) -> None:
        self._transport.write(
            "POST",
            "runs/log-inputs",
            repeat=True,
            run_id=self._run_id,
            datasets=[operation.data["input"]],
        )

    def _artifact(self, operation: Operation) -> None:
        root = self._state.artifact_uri or ""
        source = self._journal.file_of(operation)
        self._connector.upload_tree(root, operation.data["path"], source)

    def _model(self, operation: Operation) -> None:
        data = operation.data
        model = self._logged_model(operation)
        self._save(model_id=model.model_id, digest=data["digest"])
        if model.status != "READY":
            self._connector.upload_tree(model.artifact_uri, "", self._journal.file_of(operation))
            self._transport.write(
                "PATCH",
                f"logged-models/{model.model_id}",
                repeat=True,
                model_id=model.model_id,
                status="LOGGED_MODEL_READY",
            )
        if model.model_id not in self._connector.get_run(self._run_id).model_outputs:
            output = {"model_id": model.model_id, "step": 0}
            self._transport.write("POST", "runs/outputs", run_id=self._run_id, models=[output])
        if name := data.get("register_as"):
            version = self._registered(name, model, data.get("version_tags") or {})
            self._save(model_name=name, model_version=version.version)

    def _logged_model(self, operation: Operation) -> LoggedModel:
        mark = f"{self._journal.journal_id}:{operation.number}"
        experiment_id = self._state.experiment_id or ""
        filter = f"tags.`{OPERATION_TAG}` = '{mark}'"
        for model in self._connector.find_logged_models([experiment_id], filter):
            return model
        made = self._transport.write(
            "POST",
            "logged-models",
            experiment_id=experiment_id,
            name=operation.data["name"],
            source_run_id=self._run_id,
            tags=_listed({OPERATION_TAG: mark, "e2i.digest": operation.data["digest"]}),
        )
        return LoggedModel.parse(made["model"])

    def _registered(self, name: str, model: LoggedModel, tags: dict[str, str]) -> ModelVersion:
        self._connector.get_or_create_registered_model(name)
        for version in self._connector.iter_model_versions(f"run_id = '{self._run_id}'"):
            if (version.name, version.model_id) == (name, model.model_id):
                return version
        made = self._transport.write(
            "POST",
            "model-versions/create",
            name=name,
            source=model.uri,
            run_id=self._run_id,
            model_id=model.model_id,
            tags=_listed(tags),
        )
        return ModelVersion.parse(made["model_version"])

    def _end(self, operation: Operation) -> None:
        self._transport.write(
            "POST",
            "runs/update",
            repeat=True,
            run_id=self._run_id,
            status=operation.data["status"],
            end_time=operation.data["end_time"],
        )
        self._save(status=operation.data["status"])


def deliver(connector: MLflowConnector, journal: Journal, *, wait: bool) -> ReplayResult:
    """Deliver what waits in a journal; see `Delivery.run`.

    Raises:
        Conflict: somebody else delivers it now, and `wait` is off.
    """
    with journal.delivering(wait=wait) as held:
        if not held:
            raise Conflict(f"Run journal {journal.journal_id} is being delivered already.")
        return Delivery(connector, journal).run()


def deliver_start(connector: MLflowConnector, journal: Journal) -> str:
    """Deliver at least the start of a journal and return the MLflow run id."""
    if (finished := journal.delivered()) and finished.run_id:
        return finished.run_id
    if run_id := journal.state().run_id:
        return run_id
    with journal.delivering(wait=True):
        result = Delivery(connector, journal).run(until=1)
    if result.run_id is None:
        raise NotFound(f"Run journal {journal.journal_id} has no start.")
    return result.run_id


def as_result(journal: Journal, state: State) -> ReplayResult:
    """What MLflow has of the run so far."""
    return ReplayResult(
        journal_id=journal.journal_id,
        run_id=state.run_id,
        experiment_id=state.experiment_id,
        status=state.status,
        model_id=state.model_id,
        model_uri=f"models:/{state.model_id}" if state.model_id else None,
        model_name=state.model_name,
        model_version=state.model_version,
        digest=state.digest,
        problems=state.problems,
    )


def _listed(items: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in items.items()]
