"""People with roles."""

from __future__ import annotations

from typing import Any

import factory
from django.contrib.auth.models import Group, User

PASSWORD = "a long enough password"


class UserFactory(factory.django.DjangoModelFactory[User]):
    """`UserFactory(roles=["approver"])`; without roles somebody who may only log in.

    Everybody has a full name and `PASSWORD`, which sign decisions.
    """

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"person{n}")
    first_name = "Robin"
    last_name = factory.Sequence(lambda n: f"Person {n}")
    password = factory.django.Password(PASSWORD)  # type: ignore[no-untyped-call]

    @factory.post_generation
    def roles(self, create: bool, extracted: list[str] | None, **kwargs: Any) -> None:
        if create and extracted:
            give_roles({self: extracted})  # type: ignore[dict-item]


def give_roles(roles: dict[User, list[str]]) -> None:
    """Put them into these groups, past the trail: it would note each, in nearly every test."""
    groups = {group.name: group for group in Group.objects.all()}
    membership = User.groups.through
    membership.objects.bulk_create(
        membership(user=user, group=groups[name]) for user, names in roles.items() for name in names
    )
