"""The migration that makes the default policy stricter leaves a site's own one alone."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps

from registry.models import PromotionPolicy
from tests.factories.registry import PolicyFactory

pytestmark = pytest.mark.django_db


def newest_after_publishing() -> PromotionPolicy:
    import_module("registry.migrations.0005_stricter_default_policy").publish(apps, None)
    found = PromotionPolicy.objects.newest("default")
    assert found is not None
    return found


def test_who_has_the_default_as_it_came_gets_the_stricter_one() -> None:
    first = PromotionPolicy.objects.get(name="default", version=1)
    PolicyFactory(name="default", version=3, stages=first.stages)
    found = newest_after_publishing()
    gates = {gate["id"] for gate in found.stages["production"]["gates"]}
    assert found.version == 4
    assert gates > {"artifact_verified", "compatible_signature", "rollback_readiness"}


def test_who_wrote_another_default_keeps_it() -> None:
    PolicyFactory(name="default", version=3)
    assert newest_after_publishing().version == 3
