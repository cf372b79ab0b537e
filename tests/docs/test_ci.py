"""The pipeline that docs/ci.md shows, run as it stands there against a real site."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import close_old_connections
from knox.models import AuthToken

from registry.actions.note_carried import note_carried
from registry.actions.review_promotion import review_promotion
from registry.choices import PromotionState
from registry.models import Promotion, RegistryEntry
from tests.architecture.source import ROOT
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    """The first code block of that kind."""
    found = re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> RegistryEntry:
    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", lambda *args, **kwargs: None)
    if shutil.which("curl") is None:
        pytest.skip("no curl on PATH")
    PolicyFactory(name="light", stages=STAGES)
    return EntryFactory(model=ModelFactory(policy_name="light"))


@pytest.fixture
def pipeline(entry: RegistryEntry, live_server: Any, tmp_path: Path) -> Callable[..., Any]:
    """Starts the script as a service; its account has every role that it could want."""
    service = UserFactory(username="ci", roles=["requester", "reviewer", "approver"])
    script = tmp_path / "promote.sh"
    script.write_text(block("sh"))
    environment = {
        "PATH": os.environ["PATH"], "E2I_URL": live_server.url, "RUN_KEY": "run 7",
        "E2I_TOKEN": AuthToken.objects.create(service)[1], "POLL": "0.1",
        "MODEL": entry.model_id, "VERSION": "1", "STAGE": "staging",
        "REASON": 'Nightly training of "abc"',
    }  # fmt: skip

    def start(**other: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", str(script)], env={**environment, **other}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def asked() -> Promotion:
    """The promotion, as soon as the pipeline has asked for it."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        close_old_connections()
        if found := Promotion.objects.first():
            return found
        time.sleep(0.05)
    raise AssertionError("nobody asked")


def decide(promotion: Promotion, decision: str) -> None:
    review_promotion(
        promotion=promotion, reviewer=UserFactory(roles=["reviewer"]), decision=decision,
        reason="I looked.", revision=promotion.revision, password=PASSWORD,
    )  # fmt: skip


def test_the_pipeline_goes_on_when_it_is_in_effect(pipeline: Callable[..., Any]) -> None:
    running = pipeline()
    promotion = asked()
    decide(promotion, "approve")
    note_carried(promotion=promotion, run_id="r", artifact="e2i/p.json", sha256="ab")
    out, err = running.communicate(timeout=30)
    assert running.returncode == 0, err
    assert f"/registry/promotions/{promotion.pk}/" in out
    assert out.endswith("In effect.\n")
    assert promotion.reason == 'Nightly training of "abc"'
    assert pipeline().wait(timeout=30) == 0, "the same key asks once"
    assert Promotion.objects.count() == 1


def test_a_rejection_ends_it(pipeline: Callable[..., Any]) -> None:
    running = pipeline()
    decide(asked(), "reject")
    _, err = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "rejected: I looked." in err


def test_it_does_not_wait_for_ever(pipeline: Callable[..., Any]) -> None:
    running = pipeline(WAIT="0")
    _, err = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "it stays open" in err
    assert Promotion.objects.get().is_open


def test_a_refusal_is_shown(pipeline: Callable[..., Any]) -> None:
    running = pipeline(STAGE="production")
    _, err = running.communicate(timeout=30)
    assert running.returncode == 22
    assert "cannot be promoted to production" in err


def test_the_job_gives_the_script_what_it_reads() -> None:
    (job,) = yaml.safe_load(block("yaml")).values()
    step = job["steps"][-1]
    assert step["run"] == "sh promote.sh"
    read = set(re.findall(r"\$([A-Z][A-Z0-9_]+)", block("sh")))
    read |= set(re.findall(r'e\["([A-Z]+)"\]', block("sh")))
    assert read <= set(step["env"]), "the script reads what the job does not give"


def test_every_state_is_explained() -> None:
    table = PAGE[PAGE.index("## What the states say") :]
    assert set(PromotionState.values) <= set(re.findall(r"`(\w+)`", table))
