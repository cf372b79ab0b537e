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
            self.groups.set([Group.objects.get_or_create(name=name)[0] for name in extracted])
