"""What E2I reads from MLflow. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

from e2i_site.mlflow_connector.breaker import BreakerSnapshot
from e2i_site.mlflow_connector.errors import NotFound, Rejected
from e2i_site.mlflow_connector.transport import Transport
from e2i_site.mlflow_connector.types import (
    Experiment,
    Identity,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    Run,
    ServerInfo,
)

RUNS_PER_PAGE = 1000
_LOOKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "experiment": ("experiments/get", ("experiment_id",)),
    "run": ("runs/get", ("run_id",)),
    "logged_model": ("logged-models/{}", ()),
    "model": ("registered-models/get", ("name",)),
    "version": ("model-versions/get", ("name", "version")),
}


class Presence(Enum):
    """What MLflow answers when asked for one thing."""

    THERE = "there"
    HIDDEN = "hidden"
    GONE = "gone"


class Reads:
    """Reading calls. All raise `Unreachable`, `NotFound` or `Rejected`."""

    transport: Transport

    def server_info(self) -> ServerInfo:
        """Address and version of the server."""
        return ServerInfo(self.transport.safe_url, self.transport.text("/version").strip())

    def identity(self) -> Identity | None:
        """Our account at MLflow; None where the server has no accounts of its own."""
        try:
            user = self.transport.get("users/current").get("user") or {}
        except (NotFound, Rejected) as error:
            if isinstance(error, Rejected) and error.is_access:
                raise
            return None
        return Identity(str(user.get("username", "")), bool(user.get("is_admin")))

    def presence(self, kind: str, *key: str) -> Presence:
        """Whether a thing is there, hidden from our account, or gone.

        A listing that does not have it cannot tell: its pages shift when others are deleted.
        Only MLflow's own word that it is gone counts, not the 404 of a proxy that lost MLflow.

        Args:
            kind: experiment, run, logged_model, model or version.
            key: its id, or the model's name; of a version the name and the number.
        """
        path, names = _LOOKS[kind]
        try:
            self.transport.get(path.format(*key), **dict(zip(names, key, strict=False)))
        except NotFound as error:
            return Presence.GONE if error.code else Presence.THERE
        except Rejected as error:
            return Presence.HIDDEN if error.is_access else Presence.THERE
        return Presence.THERE

    def hides(self, kind: str, *key: str) -> bool:
        """True when a thing is there, but not for us; see `presence`."""
        return self.presence(kind, *key) is Presence.HIDDEN

    def ping(self) -> bool:
        """True when MLflow answers; raises `Unreachable` when it does not."""
        self.transport.text("/health")
        return True

    def breaker(self) -> BreakerSnapshot:
        """The circuit breaker's state and counters. Makes no call."""
        return self.transport.breaker.snapshot()

    def iter_experiments(self, *, view: str = "ALL") -> Iterator[Experiment]:
        """All experiments; `view` is ACTIVE_ONLY, DELETED_ONLY or ALL."""
        body = {"max_results": 1000, "view_type": view}
        for data in self._pages("experiments/search", "experiments", body):
            yield Experiment.parse(data)

    def get_experiment(self, experiment_id: str) -> Experiment:
        """One experiment, also a deleted one."""
        data = self.transport.get("experiments/get", experiment_id=experiment_id)
        return Experiment.parse(data["experiment"])

    def find_experiment(self, name: str) -> Experiment | None:
        """The experiment of that name, also a deleted one, or None."""
        try:
            data = self.transport.get("experiments/get-by-name", experiment_name=name)
        except NotFound:
            return None
        return Experiment.parse(data["experiment"])

    def iter_runs(
        self,
        experiment_ids: Sequence[str],
        *,
        filter: str = "",
        view: str = "ALL",
        page_size: int = RUNS_PER_PAGE,
    ) -> Iterator[Run]:
        """Runs of the experiments, oldest start first, each once even while others are added.

        `filter` is MLflow's search expression. Pages go by start time, because MLflow's own
        page token is an offset that shifts when runs are added or deleted.
        """
        since: int | None = None
        seen: set[str] = set()
        token: str | None = None
        while experiment_ids:
            page, token = self._run_page(experiment_ids, filter, view, page_size, since, token)
            fresh = [run for run in page if run.run_id not in seen]
            yield from fresh
            if token is None:
                return
            latest = page[-1].start_ms
            if latest != since:  # go on from this start time, with offsets counted anew
                seen = {run.run_id for run in page if run.start_ms == latest}
                since, token = latest, None
            else:
                seen.update(run.run_id for run in fresh)

    def _run_page(
        self,
        experiment_ids: Sequence[str],
        filter: str,
        view: str,
        page_size: int,
        since: int | None,
        token: str | None,
    ) -> tuple[list[Run], str | None]:
        bound = "" if since is None else f"attributes.start_time >= {since}"
        data = self.transport.search(
            "runs/search",
            experiment_ids=list(experiment_ids),
            filter=" AND ".join(part for part in (filter, bound) if part),
            run_view_type=view,
            max_results=page_size,
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
            **({"page_token": token} if token else {}),
        )
        return [Run.parse(each) for each in data.get("runs") or []], data.get("next_page_token")

    def get_run(self, run_id: str) -> Run:
        """One run, also a deleted one."""
        return Run.parse(self.transport.get("runs/get", run_id=run_id)["run"])

    def iter_registered_models(self) -> Iterator[RegisteredModel]:
        """All registered models with their aliases."""
        for data in self._get_pages("registered-models/search", "registered_models", 1000):
            yield RegisteredModel.parse(data)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """One registered model with its aliases."""
        data = self.transport.get("registered-models/get", name=name)
        return RegisteredModel.parse(data["registered_model"])

    def iter_model_versions(self, filter: str = "") -> Iterator[ModelVersion]:
        """Versions that match MLflow's search expression; without their aliases."""
        found = self._get_pages(
            "model-versions/search", "model_versions", 10_000, filter=filter or None
        )
        for data in found:
            yield ModelVersion.parse(data)

    def get_model_version(self, name: str, version: str | int) -> ModelVersion:
        """One version with its aliases."""
        data = self.transport.get("model-versions/get", name=name, version=str(version))
        return ModelVersion.parse(data["model_version"])

    def get_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version that an alias points to.

        Raises:
            NotFound: there is no such model or alias.
        """
        try:
            data = self.transport.get("registered-models/alias", name=name, alias=alias)
        except Rejected as error:
            if error.code == "INVALID_PARAMETER_VALUE" and "not found" in str(error):
                raise NotFound(f"Model {name} has no alias {alias}.") from None
            raise
        return ModelVersion.parse(data["model_version"])

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """One logged model, `m-…`."""
        return LoggedModel.parse(self.transport.get(f"logged-models/{model_id}")["model"])

    def find_logged_models(
        self, experiment_ids: Sequence[str], filter: str = ""
    ) -> Iterator[LoggedModel]:
        """Logged models of the experiments that match MLflow's search expression."""
        body = {"experiment_ids": list(experiment_ids), "filter": filter, "max_results": 1000}
        for data in self._pages("logged-models/search", "models", body):
            yield LoggedModel.parse(data)

    def _pages(self, path: str, items: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        token: str | None = ""
        while token is not None:
            data = self.transport.search(path, **body, **({"page_token": token} if token else {}))
            yield from data.get(items) or []
            token = data.get("next_page_token") or None

    def _get_pages(
        self, path: str, items: str, size: int, **params: Any
    ) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            data = self.transport.get(path, max_results=size, page_token=token, **params)
            yield from data.get(items) or []
            token = data.get("next_page_token") or None
            if token is None:
                return
