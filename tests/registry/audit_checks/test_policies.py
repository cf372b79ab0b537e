"""Policies are what was published: rows, documents and signatures that were changed are found."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import connection

from registry.actions.publish_policy import publish_in_person
from registry.document.reference import EXAMPLE
from registry.models import PromotionPolicy
from tests.factories.people import PASSWORD
from tests.factories.registry import PolicyFactory
from tests.registry.audit_checks.conftest import audit, messages

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def policy(people: SimpleNamespace) -> PromotionPolicy:
    return publish_in_person(
        source=EXAMPLE, reason="Why", seen=0, password=PASSWORD, actor=people.administrator
    )


def test_what_was_published_passes_and_what_was_slipped_in_is_found(
    policy: PromotionPolicy,
) -> None:
    result = audit("5.3d")
    said = dict(result.outcomes.values_list("subject_label", "message"))
    assert said == {
        "default v1": "It came with E2I.",
        "default v2": "It came with E2I.",
        "churn v1": "Published by administrator, signed.",
    }
    PolicyFactory(name="default", version=3)
    assert "no entry of its publication" in messages(audit("5.3d"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("stages = replace(stages, '0.8', '0.1')", "differs from what was published in: stages."),
        ("source = source || ' '", "document is not the one"),
        ("published_by_id = NULL", "administrator published it, not who the row names."),
    ],
)
def test_a_row_that_somebody_changed_past_the_triggers_is_found(
    policy: PromotionPolicy, change: str, says: str
) -> None:
    _past_the_triggers(f"UPDATE ml_promotion_policies SET {change} WHERE id = {policy.pk}")
    assert says in messages(audit("5.3d"))


def test_a_default_policy_that_is_not_the_one_that_came_is_found() -> None:
    first = PromotionPolicy.objects.get(name="default", version=1)
    _past_the_triggers(
        "UPDATE ml_promotion_policies SET stages = replace(stages, '1000', '1') "
        f"WHERE id = {first.pk}"
    )
    assert messages(audit("5.3d")) == "The trail has no entry of its publication."


def test_a_statement_that_somebody_changed_is_found(policy: PromotionPolicy) -> None:
    _past_the_triggers(
        "UPDATE trail_entry SET changes = replace(changes, 'I publish churn', 'I doubt churn')"
    )
    assert "The signed statement was changed." in messages(audit("5.3d"))


def _past_the_triggers(statement: str) -> None:
    """As somebody with the database in their hands can."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name}")
        cursor.execute(statement)
