"""Ask a person for the password again before an act that they sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models, transaction
from django.views.decorators.debug import sensitive_variables

from e2i_site.accounts.reauthentication import LockedOut, WrongPassword, reauthenticate
from e2i_site.trail import context
from e2i_site.trail.record import record
from registry import trail_events
from registry.policies import may_sign

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@sensitive_variables("password")
def prove_identity(*, user: User, password: str, subject: models.Model) -> None:
    """Raise unless `password` is that of `user`, who must have a full name to sign with.

    Call it before the transaction of the act, so that a failure stays on record although the act
    does not happen. Raises `Refused` without a name or when locked out, `InvalidInput` otherwise.
    """
    may_sign(user).enforce()
    try:
        reauthenticate(user, password, request=context.current().request)
    except (WrongPassword, LockedOut) as error:
        with transaction.atomic():
            record(trail_events.IDENTITY_NOT_PROVEN, actor=user, subject=subject, reason=str(error))
        raise
