"""What E2I changes in MLflow outside of runs. Each call states a goal, so repeating is harmless."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from e2i_site.mlflow_connector import params
from e2i_site.mlflow_connector.artifacts import Artifacts
from e2i_site.mlflow_connector.errors import Conflict, NotFound, Rejected
from e2i_site.mlflow_connector.masking import mask, mask_text
from e2i_site.mlflow_connector.reads import Reads
from e2i_site.mlflow_connector.types import Experiment, RegisteredModel

logger = logging.getLogger(__name__)


class Writes(Reads, Artifacts):
    """Changing calls. All raise `Unreachable`, `NotFound` or `Rejected`."""

    def get_or_create_experiment(
        self, name: str, *, tags: dict[str, str] | None = None
    ) -> Experiment:
        """The experiment of that name, made when absent and restored when deleted."""
        found = self.find_experiment(name)
        if found is None:
            listed = [{"key": key, "value": value} for key, value in mask(tags or {}).items()]
            try:
                made = self.transport.write("POST", "experiments/create", name=name, tags=listed)
                return self.get_experiment(made["experiment_id"])
            except Conflict:  # somebody else was first
                found = self.find_experiment(name)
        if found is None:
            raise NotFound(f"MLflow says that experiment {name} exists but does not show it.")
        if found.lifecycle_stage == "deleted":
            logger.warning("Experiment %s had been deleted in MLflow; it is restored.", name)
            self.transport.write(
                "POST", "experiments/restore", repeat=True, experiment_id=found.experiment_id
            )
            found = self.get_experiment(found.experiment_id)
        return found

    def get_or_create_registered_model(
        self, name: str, *, description: str = ""
    ) -> RegisteredModel:
        """The registered model of that name, made when absent."""
        try:
            return self.get_registered_model(name)
        except NotFound:
            pass
        try:
            self.transport.write(
                "POST", "registered-models/create", name=name, description=mask_text(description)
            )
        except Conflict:
            logger.debug("Registered model %s was made by somebody else meanwhile.", name)
        return self.get_registered_model(name)

    def set_alias(self, name: str, alias: str, version: str | int) -> None:
        """Make the alias point to that version, wherever it pointed before."""
        self.transport.write(
            "POST",
            "registered-models/alias",
            repeat=True,
            name=name,
            alias=alias,
            version=str(version),
        )

    def delete_alias(self, name: str, alias: str) -> None:
        """Take the alias away; one that is not there is no error."""
        self._delete("registered-models/alias", name=name, alias=alias)

    def set_version_tag(self, name: str, version: str | int, key: str, value: str) -> None:
        """Set a tag of a model version."""
        self._tag("model-versions/set-tag", key, value, name=name, version=str(version))

    def delete_version_tag(self, name: str, version: str | int, key: str) -> None:
        """Take a tag of a model version away; one that is not there is no error."""
        self._delete("model-versions/delete-tag", name=name, version=str(version), key=key)

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of a registered model."""
        self._tag("registered-models/set-tag", key, value, name=name)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Take a tag of a registered model away; one that is not there is no error."""
        self._delete("registered-models/delete-tag", name=name, key=key)

    def set_run_tag(self, run_id: str, key: str, value: str) -> None:
        """Set a tag of a run."""
        self._tag("runs/set-tag", key, value, run_id=run_id)

    def update_version_description(self, name: str, version: str | int, text: str) -> None:
        """Replace the description of a model version."""
        self.transport.write(
            "PATCH",
            "model-versions/update",
            repeat=True,
            name=name,
            version=str(version),
            description=mask_text(text),
        )

    def log_text_artifact(self, run_id: str, path: str, text: str) -> None:
        """Write a text file among the artifacts of a run."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "text"
            file.write_text(mask_text(text), encoding="utf-8")
            self.upload_file(self.get_run(run_id).artifact_uri, path, file)

    def _tag(self, path: str, key: str, value: str, **target: str) -> None:
        ((key, value),) = params.texts({key: value}).items()
        self.transport.write("POST", path, repeat=True, key=key, value=value, **target)

    def _delete(self, path: str, **target: str) -> None:
        try:
            self.transport.write("DELETE", path, repeat=True, **target)
        except NotFound:
            pass
        except Rejected as error:
            if "not found" not in str(error).lower():
                raise
