"""Phase 1 against a real MLflow, and without one."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from e2i_site.audit import runner
from e2i_site.audit.audit_checks import connector as checks
from e2i_site.audit.models import CheckResult, SubjectResult
from e2i_site.jobs.models import BreakerRecord
from e2i_site.mlflow_connector import MLflowConnector, get_connector
from e2i_site.mlflow_connector.breaker import BreakerData, Opening

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def audit(check_id: str) -> CheckResult:
    runner.execute(runner.prepare(check_id=check_id))
    return CheckResult.objects.filter(check_id=check_id).latest("id")


def only(check_id: str) -> SubjectResult:
    return audit(check_id).outcomes.get()


@pytest.fixture
def connector(mlflow_server: str, settings: Any, tmp_path: Path) -> MLflowConnector:
    settings.MLFLOW_TRACKING_URI = mlflow_server
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journal"
    return get_connector()


@pytest.fixture
def away(settings: Any, tmp_path: Path) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journal"


def test_a_server_that_answers(connector: MLflowConnector) -> None:
    found = only("1.1")
    assert found.outcome == "pass"
    assert found.evidence["version"].startswith("3.")


def test_a_server_that_is_away_is_a_finding_and_hides_nothing(away: None) -> None:
    found = only("1.1")
    assert (found.outcome, found.priority) == ("fail", "P1")
    assert "cannot be reached" in found.message
    for check_id in ("1.2", "1.4"):
        assert audit(check_id).outcome == "inconclusive"


DYING = """
import os, sys
from pathlib import Path
from e2i_site.mlflow_connector import MLflowConnector
connector = MLflowConnector(sys.argv[1], Path(sys.argv[2]))
with connector.start_run(sys.argv[3], run_name="left behind") as run:
    run.log_params({"a": 1})
    os._exit(9)
"""


def left_behind(connector: MLflowConnector, name: str) -> str:
    """A run whose process died without a word; its MLflow id."""
    folder = str(connector.journal_dir)
    command = [sys.executable, "-c", DYING, connector.transport.url, folder, name]
    assert subprocess.run(command, check=False).returncode == 9
    experiment = connector.find_experiment(name)
    assert experiment is not None
    return next(connector.iter_runs([experiment.experiment_id])).run_id


def test_a_run_left_by_a_dead_process_is_found(
    connector: MLflowConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"dying-{uuid.uuid4().hex[:8]}"
    run_id = left_behind(connector, name)
    with connector.start_run(name, run_name="alive") as alive:
        outcomes = audit("1.2").outcomes
        assert outcomes.get(subject_key=alive.mlflow_run_id).outcome == "pass"
        assert outcomes.get(subject_key=run_id).outcome == "inconclusive"
        monkeypatch.setattr(checks, "TAKE_UP", timedelta(0))
        found = audit("1.2").outcomes.get(subject_key=run_id)
        assert (found.outcome, found.priority) == ("fail", "P2")
    (journal,) = [each.journal_id for each in connector.pending_journals()]
    connector.close_journal(journal)
    connector.replay(journal)
    assert not audit("1.2").outcomes.filter(subject_key=run_id).exists()


def keep(**fields: Any) -> None:
    data = BreakerData(**fields).as_dict()
    BreakerRecord.objects.update_or_create(name="mlflow", defaults={"data": data})


def test_a_breaker_that_recovered_passes_with_its_openings_listed(away: None) -> None:
    now = time.time()
    keep(openings=(Opening(now - 100, "no answer", now - 60),), openings_total=1)
    found = only("1.3")
    assert found.outcome == "pass"
    assert found.evidence["openings"][0]["reason"] == "no answer"


def test_an_open_breaker_is_degraded_but_honest(away: None) -> None:
    now = time.time()
    keep(state="open", opened_at=now, failures=5, openings=(Opening(now, "no answer"),))
    found = only("1.3")
    assert (found.outcome, found.priority) == ("fail", "P4")


def test_a_breaker_that_closed_too_early_broke_its_rule(away: None) -> None:
    now = time.time()
    keep(openings=(Opening(now - 20, "no answer", now - 10),), openings_total=1)
    found = only("1.3")
    assert (found.priority, "ended too early" in found.message) == ("P2", True)


def test_names_with_the_prefix_follow_the_rule(connector: MLflowConnector) -> None:
    part = uuid.uuid4().hex[:8]
    names = (f"e2i_model_trainer_{part}", f"e2i_e2i_model_trainer_{part}", f"theirs-{part}")
    for name in names:
        connector.get_or_create_experiment(name)
    outcomes = {each.subject_label: each for each in audit("1.4").outcomes.all()}
    assert outcomes[names[0]].outcome == "pass"
    assert (outcomes[names[1]].outcome, outcomes[names[1]].priority) == ("fail", "P3")
    assert names[2] not in outcomes
