"""What a policy document may say."""
# ruff: noqa: E501 - a table

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from registry.document.schema import problems

SHADOW = {
    "hours": 24,
    "requests": 1000,
    "error_rate": 0.01,
    "p99_ms": 150,
    "alpha": 0.05,
    "sequential": True,
}
CANARY = {"steps": [5, 25, 50], "minutes": 10, "requests": 100}
GOOD: dict[str, Any] = {
    "name": "strict",
    "models": ["churn_*"],
    "stages": {
        "staging": {
            "gates": [
                {"id": "signature"},
                {"id": "champion_comparison", "tolerance": 0.01, "dry_run": True},
            ],
            "approvals": {
                "all_of": [{"count": 1, "roles": ["approver"]}, {"count": 1, "groups": ["risk"]}]
            },
            "may_not_approve": ["requester", "trainer", "committer"],
            "expires_after_days": 14,
            "remind_after_hours": 24,
            "evidence_max_age_hours": 48,
            "freeze": [
                {"from": "2026-12-20T00:00Z", "to": "2027-01-04T00:00Z", "reason": "Year's end"},
                {
                    "days": ["friday"],
                    "from": "16:00",
                    "to": "24:00",
                    "timezone": "Europe/Berlin",
                    "reason": "Weekend",
                },
            ],
        },
        "production": {
            "approvals": {"count": 2, "roles": ["approver"]},
            "shadow": SHADOW,
            "canary": CANARY,
        },
    },
}


def broken(path: str, value: Any) -> dict[str, Any]:
    document = deepcopy(GOOD)
    *way, last = (int(part) if part.isdecimal() else part for part in path.split("/"))
    inner: Any = document
    for part in way:
        inner = inner[part]
    inner[last] = value
    return document


def test_a_full_document_is_in_order() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("path", "value", "key", "says"),
    [
        ("name", "No Spaces", "name", "small letters"),
        ("stagse", {}, "stagse", "legal: name, description, notice, models, stages"),
        ("models", "churn", "models", "list of patterns"),
        ("stages", {}, "stages", "gives rules"),
        ("stages/development", {}, "stages.development", "legal: staging, shadow, production, archived"),
        ("stages/staging/gate", [], "stages.staging.gate", "legal: gates, approvals"),
        ("stages/staging/gates/0", {"id": "odd"}, "stages.staging.gates[0].id", "called 'odd'"),
        ("stages/staging/gates/0", {}, "stages.staging.gates[0]", "needs an id"),
        ("stages/staging/gates/0", {"id": "champion_comparison"}, "stages.staging.gates[1].id", "twice"),
        ("stages/staging/gates/1/tolerance", -1, "stages.staging.gates[1].tolerance", "at least 0"),
        ("stages/staging/gates/1/tolerance", True, "stages.staging.gates[1].tolerance", "a number"),
        ("stages/staging/gates/1/limit", 1, "stages.staging.gates[1].limit", "legal: tolerance, metric, dry_run"),
        ("stages/staging/gates/1/dry_run", "yes", "stages.staging.gates[1].dry_run", "true or false"),
        ("stages/staging/approvals", None, "stages.staging.approvals", "{all_of: […]}"),
        ("stages/staging/approvals/all_of/0/count", 0, "stages.staging.approvals.all_of[0].count", "from 1"),
        ("stages/staging/approvals/all_of/0/roles", ["boss"], "stages.staging.approvals.all_of[0].roles", "viewer"),
        ("stages/staging/approvals/all_of/1", {"count": 1}, "stages.staging.approvals.all_of[1]", "nobody could"),
        ("stages/staging/may_not_approve", ["requester"], "stages.staging.may_not_approve", "leave them in"),
        ("stages/staging/expires_after_days", 0, "stages.staging.expires_after_days", "at least 0.01"),
        ("stages/staging/freeze/0/to", "2026-01-01T00:00Z", "stages.staging.freeze[0].to", "after from"),
        ("stages/staging/freeze/0/from", "2026-12-20", "stages.staging.freeze[0].from", "with its zone"),
        ("stages/staging/freeze/1/from", 960, "stages.staging.freeze[1].from", "in quotes"),
        ("stages/staging/freeze/1/timezone", "Mars", "stages.staging.freeze[1].timezone", "Europe/Berlin"),
        ("stages/staging/freeze/1/days", ["fri"], "stages.staging.freeze[1].days", "friday"),
        ("stages/staging/shadow", SHADOW, "stages.staging.shadow", "Only promotions to production"),
        ("stages/production/shadow", None, "stages.production.shadow", "limits of the shadow"),
        ("stages/production/shadow/error_rate", 2, "stages.production.shadow.error_rate", "from 0 to 1"),
        ("stages/staging/canary", CANARY, "stages.staging.canary", "Only promotions to production"),
        ("stages/production/canary", [5, 25], "stages.production.canary", "limits of the canary"),
        ("stages/production/canary/steps", [25, 5], "stages.production.canary.steps", "They rise"),
        ("stages/production/canary/steps", [5, 100], "stages.production.canary.steps", "from 1 to 99"),
        ("stages/production/canary/steps", [], "stages.production.canary.steps", "whole numbers"),
        ("stages/production/canary/steps", 5, "stages.production.canary.steps", "whole numbers"),
        ("stages/production/canary/hours", 1, "stages.production.canary.hours", "legal: steps, minutes, requests"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(path: str, value: Any, key: str, says: str) -> None:
    found = {problem.key: problem.message for problem in problems(broken(path, value))}
    assert list(found) == [key]
    assert says in found[key]


@pytest.mark.parametrize(
    "document", [None, [], "text", 3, {"stages": [1]}, {"stages": {"staging": 1}}]
)
def test_nonsense_is_refused_and_never_an_exception(document: Any) -> None:
    assert problems(document)
