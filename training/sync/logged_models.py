"""Mirror the models that runs made, `models:/m-…`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import islice
from typing import Any

import orjson
from django.db import transaction

from e2i_site.mlflow_connector import types
from training.models import LoggedModel, MlflowExperiment
from training.sync.counts import Counts
from training.sync.hidden import gone
from training.sync.insert import insert

CHUNK = 500


class LoggedModelMirror:
    """Mirrors logged models. One for one sync."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self._experiments = set(MlflowExperiment.objects.values_list("mlflow_id", flat=True))

    def mirror(self, found: Iterable[types.LoggedModel]) -> None:
        """Write what is new or changed."""
        models = (each for each in found if each.experiment_id in self._experiments)
        while chunk := list(islice(models, CHUNK)):
            self._write(chunk)

    def mirror_whole(self, experiment_ids: list[str], found: Iterable[types.LoggedModel]) -> None:
        """The same for all models of the experiments: those that are not listed are deleted."""
        present = LoggedModel.objects.filter(
            mlflow_experiment__mlflow_id__in=experiment_ids, deleted_in_mlflow=False
        )
        missing = set(present.values_list("model_id", flat=True))

        def listed() -> Iterable[types.LoggedModel]:
            for each in found:
                missing.discard(each.model_id)
                yield each

        self.mirror(listed())
        owners = present.filter(model_id__in=list(missing))
        lost, _ = gone("logged_model", owners.values_list("model_id", "mlflow_experiment_id"))
        rows = LoggedModel.objects.filter(model_id__in=lost, deleted_in_mlflow=False)
        self.counts.deleted += rows.update(deleted_in_mlflow=True, mirror_hash="")

    @transaction.atomic
    def _write(self, models: list[types.LoggedModel]) -> None:
        wanted = {each.model_id: _values(each) for each in models}
        rows = LoggedModel.objects.filter(model_id__in=list(wanted))
        known = dict(rows.values_list("model_id", "mirror_hash"))
        insert(LoggedModel, [row for key, row in wanted.items() if key not in known])
        changed = [
            LoggedModel(**row)
            for key, row in wanted.items()
            if key in known and known[key] != row["mirror_hash"]
        ]
        if changed:
            fields = sorted(wanted[changed[0].pk].keys() - {"model_id", "mlflow_experiment_id"})
            LoggedModel.objects.bulk_update(changed, fields, batch_size=100)
        self.counts.seen += len(wanted)
        self.counts.created += len(wanted) - len(known)
        self.counts.updated += len(changed)
        self.counts.unchanged += len(known) - len(changed)


def _values(each: types.LoggedModel) -> dict[str, Any]:
    values = {
        "model_id": each.model_id,
        "mlflow_experiment_id": each.experiment_id,
        "name": each.name[:500],
        "status": each.status[:40],
        "model_type": each.model_type[:500],
        "source_run_id": each.source_run_id[:64],
        "artifact_uri": each.artifact_uri,
        "params": each.params,
        "tags": each.tags,
        "created_at": each.created_at,
        "updated_at": each.updated_at,
        "deleted_in_mlflow": False,
    }
    content = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
    return values | {"mirror_hash": hashlib.blake2b(content, digest_size=16).hexdigest()}
