"""The command that a CI job calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest
from django.core.management import CommandError, call_command

from registry.actions.note_carried import note_carried
from registry.actions.review_promotion import review_promotion
from registry.management.commands import request_promotion
from registry.models import Promotion
from tests.factories.people import PASSWORD, UserFactory
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


def asked(version: tuple[str, str, str], *more: str) -> int:
    """Exit status of the command, called as a service's account would."""
    user = UserFactory(roles=["requester"])
    try:
        call_command("request_promotion", *version, "--reason=x", f"--user={user.username}", *more)
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


def meanwhile(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[Promotion], object]) -> None:
    """Between two looks of the command, somebody takes the next step."""
    monkeypatch.setattr(request_promotion.time, "sleep", lambda seconds: waiting.pop(0)())
    waiting = [partial(lambda step: step(Promotion.objects.get()), step) for step in steps]


def approve(promotion: Promotion) -> None:
    review_promotion(
        promotion=promotion,
        reviewer=UserFactory(roles=["reviewer"]),
        decision="approve",
        reason="fine",
        revision=promotion.revision,
        password=PASSWORD,
    )


def carried(promotion: Promotion) -> None:
    note_carried(promotion=promotion, run_id="r", artifact="e2i/p.json", sha256="ab")


def test_waiting_ends_when_mlflow_has_it(
    version: tuple[str, str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    meanwhile(monkeypatch, approve, carried)
    assert asked(version, "--wait", "60", "--json") == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["state"], told["carried"]) == ("applied", True)
    assert told["url"].endswith(f"/registry/promotions/{Promotion.objects.get().pk}/")
    states = [line.partition(": ")[2] for line in printed.err.splitlines()]
    assert states == ["In review", "Done, being carried to MLflow", "Done"]


def test_a_rejection_ends_the_waiting_with_1(
    version: tuple[str, str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def reject(promotion: Promotion) -> None:
        review_promotion(
            promotion=promotion,
            reviewer=UserFactory(roles=["reviewer"]),
            decision="reject",
            reason="The data is old.",
            revision=promotion.revision,
            password=PASSWORD,
        )

    meanwhile(monkeypatch, reject)
    assert asked(version, "--wait", "60") == 1
    assert "Rejected: The data is old." in capsys.readouterr().err


def test_time_runs_out_with_1_and_the_request_stays(
    version: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(version, "--wait", "0") == 1
    assert "Not in effect within the time given" in capsys.readouterr().err
    assert Promotion.objects.get().is_open


def test_a_time_that_is_none_is_wrong_usage(version: tuple[str, str, str]) -> None:
    for wrong in ("-1", "nan", "soon", "1e9"):
        with pytest.raises(CommandError, match="--wait"):
            asked(version, f"--wait={wrong}")
    assert not Promotion.objects.exists()
