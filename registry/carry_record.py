"""Putting the record of each promotion in effect among the artifacts of a run in MLflow."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from e2i_site.mlflow_connector import Unreachable, experiment_name, get_connector
from registry.actions.note_carried import note_carried
from registry.choices import PromotionState
from registry.models import Promotion, RegistryEntry
from registry.promotion_record import artifact_path, record_of


def carry_records(model_name: str) -> list[str]:
    """Where the records went that MLflow did not have yet, as RUN/PATH."""
    waiting = Promotion.objects.filter(
        entry__model__name=model_name, state=PromotionState.APPLIED, carried_at=None
    )
    people = ("entry__experiment", "policy", "requester", "champion")
    return [_carry(each) for each in waiting.select_related(*people).order_by("pk")]


def _carry(promotion: Promotion) -> str:
    """Put the record at the run that made the version; doing it again replaces it."""
    run_id = promotion.entry.mlflow_run_id or _run_of_its_own(promotion)
    path, content = artifact_path(promotion), record_of(promotion)
    connector = get_connector()
    with tempfile.TemporaryDirectory(prefix="e2i-record-") as folder:
        file = Path(folder) / "record.json"
        file.write_bytes(content)
        connector.upload_file(connector.get_run(run_id).artifact_uri, path, file)
    sha256 = hashlib.sha256(content).hexdigest()
    note_carried(promotion=promotion, run_id=run_id, artifact=path, sha256=sha256)
    return f"{run_id}/{path}"


def _run_of_its_own(promotion: Promotion) -> str:
    """For a version that no run made: a run beside the deployer's, made once."""
    connector, journal_id = get_connector(), f"promotion-{promotion.pk}"
    if not connector.has_journal(journal_id):
        with connector.start_run(
            deployer_experiment(promotion.entry),
            run_name=f"promotion_{promotion.pk}",
            tags={"source": "e2i", "role": "promotion", "promotion_id": str(promotion.pk)},
            journal_id=journal_id,
        ):
            pass
    else:
        connector.close_journal(journal_id)  # its writer may have been killed
    run_id = connector.replay(journal_id).run_id
    if run_id is None:
        raise Unreachable(f"MLflow has made no run for promotion {promotion.pk} yet.")
    return run_id


def deployer_experiment(entry: RegistryEntry) -> str:
    """MLflow's experiment for what becomes of a version."""
    if entry.experiment:
        return experiment_name("model_deployer", entry.experiment.experiment_id)
    # A model that somebody else made belongs to no experiment here; its name stands for one.
    name = re.sub(r"[^a-z0-9_-]+", "-", entry.model_id.lower()).strip("-_")
    return experiment_name("model_deployer", name.removeprefix("e2i_") or "unnamed")
