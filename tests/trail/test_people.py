"""Roles given and taken leave an entry, from either side of the relation."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User

from e2i_site.trail.models import TrailEntry

pytestmark = pytest.mark.django_db


def _last() -> TrailEntry:
    return TrailEntry.objects.latest("id")


def test_giving_and_taking_roles_is_recorded() -> None:
    user = User.objects.create_user("noor")
    approver, viewer = Group.objects.get(name="approver"), Group.objects.get(name="viewer")
    user.groups.add(approver, viewer)
    assert _last().event == "accounts.user.roles_granted"
    assert _last().new == {"roles": ["approver", "viewer"]}
    user.groups.remove(viewer)
    assert _last().event == "accounts.user.roles_removed"
    approver.user_set.remove(user)
    assert (_last().subject_label, _last().new) == ("noor", {"roles": ["approver"]})
    user.groups.add(viewer)
    user.groups.clear()
    assert _last().new == {"roles": ["viewer"]}
    assert TrailEntry.objects.count() == 5
