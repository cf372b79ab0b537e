"""The search line of the promotions queue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.choices import PromotionState
from registry.filters import parse_search, search_promotions
from registry.models import Promotion
from tests.factories.people import UserFactory
from tests.factories.registry import EntryFactory, ModelFactory, PromotionFactory


def test_tokens_and_words() -> None:
    search = parse_search('is:open model:churn to:production by:"ana maria" too late')
    assert search.data == {
        "open": "true",
        "model": "churn",
        "to_stage": "production",
        "requester": "ana maria",
        "text": "too late",
    }
    assert search.errors == ()


@pytest.mark.parametrize("line", ["weather:fine", "is:nice", "model:", 'is:"'])
def test_what_is_not_understood_is_said(line: str) -> None:
    assert parse_search(line).errors


@given(st.text(max_size=60))
def test_any_text_parses(line: str) -> None:
    search = parse_search(line)
    assert all(isinstance(value, str) and value for value in search.data.values())


@pytest.mark.django_db
def test_search_finds_by_every_token() -> None:
    ana = UserFactory(username="ana")
    churn = EntryFactory(model=ModelFactory(name="churn"))
    wanted = PromotionFactory(entry=churn, requester=ana, reason="Calibrated at last.")
    done = PromotionFactory(
        entry=EntryFactory(model=ModelFactory(name="upsell")), state=PromotionState.APPLIED
    )

    def found(line: str) -> set[Promotion]:
        promotions, errors = search_promotions(line, Promotion.objects.all())
        assert errors == ()
        return set(promotions)

    assert found("") == {wanted, done}
    for line in (
        "is:open",
        "is:review",
        "model:CHURN",
        "by:Ana",
        "calibrated",
        "model:churn version:1",
    ):
        assert found(line) == {wanted}, line
    for line in ("is:decided", "is:applied", "upsell", "model:upsell to:staging from:development"):
        assert found(line) == {done}, line
    assert found("model:churn is:decided") == set()


@pytest.mark.django_db
@pytest.mark.parametrize("line", ["to:moon", "version:first", "version:0", "colour:red"])
def test_a_wrong_search_finds_nothing_and_says_why(line: str) -> None:
    PromotionFactory()
    promotions, errors = search_promotions(line, Promotion.objects.all())
    assert not promotions
    assert line.partition(":")[0] in errors[0]
