"""What the checks of deployments take for evidence, and what not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployments.choices import DeploymentStatus
from deployments.store import ArtifactStore
from e2i_site.audit.registry import CheckContext, SubjectOutcome, find
from e2i_site.mlflow_connector import models
from registry.choices import PromotionState, Stage
from tests.factories.deployments import DeploymentFactory
from tests.factories.registry import EntryFactory, ModelFactory, PromotionFactory

pytestmark = pytest.mark.django_db


def outcomes(check_id: str) -> list[SubjectOutcome]:
    check = find(check_id)
    assert check is not None
    return list(check.function(CheckContext(check)))


def test_only_the_promotion_that_brought_it_there_excuses_missing_evidence() -> None:
    entry = EntryFactory(stage=Stage.PRODUCTION)
    carried_out = {"entry": entry, "to_stage": Stage.PRODUCTION, "state": PromotionState.APPLIED}
    PromotionFactory(**carried_out, past_gates=True)
    assert not outcomes("4.3")  # 4.3b speaks of it
    PromotionFactory(**carried_out)
    (outcome,) = outcomes("4.3")
    assert outcome.message == "It is in production without any shadow evidence."


@pytest.mark.once
def test_a_way_back_without_an_example_is_loaded_all_the_same(
    settings: Any, tmp_path: Path
) -> None:
    settings.ARTIFACT_STORE = tmp_path / "store"
    files = tmp_path / "model"
    files.mkdir()
    (files / "MLmodel").write_text("flavors: {}\n")
    digest = models.digest(files)
    ArtifactStore(settings.ARTIFACT_STORE).fetch(digest, lambda target: files.rename(target))
    model = ModelFactory()
    back = EntryFactory(model=model, stage=Stage.ARCHIVED, artifact_digest=digest)
    DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.PRODUCTION),
        previous_deployment=DeploymentFactory(
            entry=back, artifact_digest=digest, status=DeploymentStatus.DRAINING
        ),
    )
    (outcome,) = outcomes("4.6")
    assert (outcome.outcome, "verifies, but" in outcome.message) == ("fail", True)
