"""The command that a CI job calls."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from registry.models import Promotion
from tests.factories.people import UserFactory
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str, str]:
    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", lambda *args, **kwargs: None)
    PolicyFactory(name="light", stages=STAGES)
    entry = EntryFactory(model=ModelFactory(policy_name="light"))
    return entry.model_id, "1", "staging"


def test_it_prints_gates_and_state(
    version: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    user = UserFactory(roles=["requester"])
    call_command(
        "request_promotion", *version, "--reason=nightly", f"--user={user.username}", "--json"
    )
    printed = json.loads(capsys.readouterr().out)
    promotion = Promotion.objects.get()
    assert printed["promotion"] == promotion.pk
    assert printed["state"] == "open"
    assert [gate["outcome"] for gate in printed["gates"]] == ["pass", "pass"]


def test_a_refusal_exits_1(
    version: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    user = UserFactory(roles=["viewer"])
    with pytest.raises(SystemExit) as exit_:
        call_command("request_promotion", *version, "--reason=x", f"--user={user.username}")
    assert exit_.value.code == 1
    assert "requesting promotions" in capsys.readouterr().err
    assert not Promotion.objects.exists()


def test_unknown_names_are_wrong_usage(version: tuple[str, str, str]) -> None:
    with pytest.raises(CommandError, match="No active account"):
        call_command("request_promotion", *version, "--reason=x", "--user=nobody")
    with pytest.raises(CommandError, match="not known here"):
        call_command("request_promotion", "nope", "1", "staging", "--reason=x", "--user=nobody")
