"""Policies as sentences."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from registry.models import PromotionPolicy
from registry.views.policies import approvals_in_words, rules_in_words, shadow_in_words

pytestmark = pytest.mark.django_db
Browser = Callable[[User], Client]


def test_the_default_policy_reads_as_sentences(browser: Browser, approver: User) -> None:
    text = re.sub(
        r"\s+", " ", browser(approver).get("/registry/policies/default/1/").content.decode()
    )
    assert "At least 24 h in shadow and 1,000 mirrored requests." in text
    assert "99 % of requests answered within 150 ms." in text
    assert "1 approval by somebody with the role approver who neither requested it" in text
    assert "Blocking" in text and "P0, P1" in text


def test_stages_come_in_order_of_travel() -> None:
    policy = PromotionPolicy.objects.newest("default")
    assert policy is not None
    stages = [rules.stage.value for rules in rules_in_words(policy)]
    assert stages == ["staging", "shadow", "production", "archived"]


def test_a_window_without_a_bound_says_so() -> None:
    limits = {"hours": 0.01, "requests": 20, "error_rate": 0.05, "p99_ms": 500, "alpha": 0.05}
    sentences = list(shadow_in_words({**limits, "sequential": False}))
    assert sentences[-1] == "Only these floors count, without a bound on chance."


def test_two_approvals() -> None:
    assert approvals_in_words({"count": 2, "roles": ["approver"]}).startswith(
        "2 approvals by people with the role approver who"
    )


def test_an_unknown_policy_is_404(browser: Browser, approver: User) -> None:
    assert browser(approver).get("/registry/policies/none/1/").status_code == 404
