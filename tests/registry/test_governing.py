"""Which policy claims a model: the most specific pattern, then the first name."""

from __future__ import annotations

import pytest

from registry.governing import Claims
from registry.models import PromotionPolicy

POLICIES = [
    PromotionPolicy(name=name, model_patterns=patterns)
    for name, patterns in (
        ("wide", ["*"]),
        ("second", ["churn_*"]),
        ("first", ["churn_*", "risk?"]),
        ("exact", ["churn_a"]),
        ("either", ["[pq]_*"]),
    )
]


@pytest.mark.parametrize(
    ("model", "claimed"),
    [
        ("churn_a", ("exact", "churn_a")),
        ("churn_b", ("first", "churn_*")),
        ("Churn_b", ("wide", "*")),
        ("risk1", ("first", "risk?")),
        ("risk12", ("wide", "*")),
        ("q_a\nb", ("either", "[pq]_*")),
    ],
)
def test_the_most_specific_pattern_claims(model: str, claimed: tuple[str, str]) -> None:
    found = Claims(POLICIES).of(model)
    assert found is not None
    assert (found[0].name, found[1]) == claimed


def test_what_no_pattern_fits_is_not_claimed() -> None:
    assert Claims(POLICIES[1:]).of("other") is None
