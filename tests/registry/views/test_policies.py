"""Policies as sentences."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.test import Client

from registry.actions.publish_policy import publish_policy
from registry.document.diff import line_diff
from registry.document.read import read
from registry.models import PromotionPolicy, RegisteredModel
from registry.replay.run import proposed_policy
from registry.views.policy_words import approvals_in_words, rules_in_words, shadow_in_words
from tests.factories.registry import ModelFactory
from tests.registry.views.reading import words_of

pytestmark = pytest.mark.django_db
Browser = Callable[[User], Client]
EVERYTHING = """\
name: everything
stages:
  staging:
    gates:
      - {id: metric, minimum: {roc_auc: 0.8}, evidence_max_age_hours: 12}
      - {id: open_findings, dry_run: true}
    approvals: {all_of: [{count: 1, roles: [approver]}, {count: 2, groups: [risk]}]}
    may_not_approve: [requester, trainer, committer]
    expires_after_days: 14
    remind_after_hours: 1
    evidence_max_age_hours: 168
    freeze:
      - {from: 2026-12-20T01:00+01:00, to: 2027-01-04T00:00Z, reason: Year's end}
      - {days: [friday, sunday], from: "16:00", to: "08:00", timezone: Europe/Berlin, reason: Rest}
"""


def test_the_default_policy_reads_as_sentences(browser: Browser, approver: User) -> None:
    text = words_of(browser(approver).get("/registry/policies/default/1/"))
    assert "At least 24 h in shadow and 1,000 mirrored requests." in text
    assert "99 % of requests answered within 150 ms." in text
    assert "1 approval by an approver. Whoever requested it or trained the version never" in text
    assert "Priorities that block: P0, P1" in text
    assert "Largest loss against the champion: 0.02 (default)" in text
    assert "A request stays open until somebody decides it." in text


def test_the_newest_version_of_each_policy_is_in_force(browser: Browser, approver: User) -> None:
    newest = PromotionPolicy.objects.filter(name="default").latest("version").version
    assert newest > 1
    words = words_of(browser(approver).get("/registry/policies/"))
    assert f"default v{newest} in force" in words
    assert words.count("in force") == 1


@pytest.mark.once
def test_every_rule_is_said() -> None:
    (rules,) = rules_in_words(proposed_policy(read(EVERYTHING)))
    assert rules.approvals == (
        "1 approval by an approver and 2 approvals by somebody of risk. Each person counts once. "
        "Whoever requested it, trained the version or registered the version never approves."
    )
    assert rules.times == (
        "A request that nobody decided ends after 14 days.",
        "Whoever is asked is reminded every hour until then.",
        "Evidence older than 168 hours is inconclusive.",
    )
    assert rules.freezes == (
        "From 2026-12-20 00:00 to 2027-01-04 00:00 UTC: Year's end",
        "Friday, Sunday from 16:00 to 08:00 of the next day (Europe/Berlin): Rest",
    )
    metric, findings = rules.gates
    assert [(each.name, each.value, each.is_default) for each in metric.limits] == [
        ("At least", "roc_auc 0.8", False),
        ("The whole interval has to keep the limit", "no", True),
        ("Evidence no older than", "12 h", False),
    ]
    assert (metric.dry_run, findings.dry_run) == (False, True)
    either = {"any_of": [{"count": 1, "roles": ["approver"]}, {"count": 1, "roles": ["auditor"]}]}
    assert approvals_in_words({"approvals": either}).startswith(
        "1 approval by an approver or 1 approval by an auditor. Whoever"
    )


@pytest.mark.once
def test_stages_come_in_order_of_travel() -> None:
    policy = PromotionPolicy.objects.newest("default")
    assert policy is not None
    stages = [rules.stage.value for rules in rules_in_words(policy)]
    assert stages == ["staging", "shadow", "production", "archived"]


@pytest.mark.once
def test_a_window_without_a_bound_says_so() -> None:
    limits = {"hours": 0.01, "requests": 20, "error_rate": 0.05, "p99_ms": 500, "alpha": 0.05}
    sentences = list(shadow_in_words({**limits, "sequential": False}))
    assert sentences[-1] == "Only these floors count, without a bound on chance."


def test_models_are_governed_by_choice_by_pattern_or_by_default(
    browser: Browser, approver: User, model: RegisteredModel
) -> None:
    ModelFactory(name="other")
    client = browser(approver)
    chosen = words_of(client.get("/registry/policies/light/1/"))
    assert "churn an administrator chose it for this model" in chosen
    assert "other no other policy claims this model" in words_of(
        client.get("/registry/policies/default/1/")
    )


def test_it_is_downloaded_as_it_was_written(browser: Browser, approver: User) -> None:
    policy = PromotionPolicy.objects.get(name="default", version=1)
    answer = browser(approver).get("/registry/policies/default/1/document/")
    assert answer["Content-Disposition"] == 'attachment; filename="default-v1.yaml"'
    assert read(answer.content.decode()).content == policy.content


def test_an_unknown_policy_is_404(browser: Browser, approver: User) -> None:
    assert browser(approver).get("/registry/policies/none/1/").status_code == 404
    assert browser(approver).get("/registry/policies/none/1/document/").status_code == 404


def test_two_versions_are_compared_by_rule_and_by_line(
    browser: Browser, approver: User, people: SimpleNamespace
) -> None:
    for days in (14, 7):
        text = EVERYTHING.replace("after_days: 14", f"after_days: {days}")
        publish_policy(source=text, reason=f"{days} days.", actor=people.administrator)
    client = browser(approver)
    page = words_of(client.get("/registry/policies/everything/2/"))
    assert "everything v2" in page and "7 days." in page and "what changed" in page
    both = words_of(client.get("/registry/policies/everything/compare/"))
    assert "stages.staging.expires_after_days 14 7" in both
    assert "9 − expires_after_days: 14 9 + expires_after_days: 7" in both
    assert "⋯" in both and "gates:" not in both
    same = words_of(client.get("/registry/policies/everything/compare/?from=2&to=2"))
    assert "Both say the same." in same
    for wrong in ("none/compare/", "everything/compare/?from=9"):
        assert client.get(f"/registry/policies/{wrong}").status_code == 404


@pytest.mark.once
def test_a_line_diff_keeps_the_numbers_of_both_sides() -> None:
    before = "\n".join(f"line {n}" for n in range(1, 21))
    after = before.replace("line 2\n", "").replace("line 19", "line nineteen")
    found = [(each.kind, each.old, each.new) for each in line_diff(before, after, around=1)]
    assert found == [
        ("same", 1, 1), ("removed", 2, None), ("same", 3, 2), ("gap", None, None),
        ("same", 18, 17), ("removed", 19, None), ("added", None, 18), ("same", 20, 19),
    ]  # fmt: skip
    assert line_diff(before, before) == []
