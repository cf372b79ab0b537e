"""Checks and how apps declare them, in `audit_checks.py` modules that are discovered at start."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils import timezone

from e2i_site.audit.choices import Outcome, Priority
from e2i_site.audit.mlflow_view import MlflowView

if TYPE_CHECKING:
    from e2i_site.mlflow_connector import MLflowConnector

_ID = re.compile(r"(?P<phase>[1-9])\.(?P<item>[1-9]\d*)(?P<suffix>[b-z]?)")


@dataclass(frozen=True)
class Subject:
    """What an outcome speaks of.

    `kind` and `key` identify it for ever: an object's model label and primary key, or a kind
    such as "mlflow.run" and MLflow's id. `label` is what people read, `url` its page, if any.
    """

    kind: str
    key: str
    label: str
    url: str = ""

    @classmethod
    def of(cls, thing: Subject | models.Model | str) -> Subject:
        """The subject for a model instance or a plain name."""
        if isinstance(thing, Subject):
            return thing
        if isinstance(thing, models.Model):
            absolute = getattr(thing, "get_absolute_url", None)
            url = absolute() if absolute else ""
            return cls(thing._meta.label_lower, str(thing.pk), str(thing), url)
        return cls("name", thing, thing)


@dataclass(frozen=True)
class SubjectOutcome:
    """One answer of one check about one subject. `priority` is set on failures only."""

    subject: Subject
    outcome: Outcome
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    priority: Priority | None = None


Checked = Subject | models.Model | str
CheckFunction = Callable[["CheckContext"], Iterable[SubjectOutcome]]


@dataclass(frozen=True)
class Check:
    """A registered check. `item` is its line in the plan; several checks may share one."""

    id: str
    phase: int
    item: str
    title: str
    remediation: str
    priority: Priority
    function: CheckFunction
    waivable: bool = True

    @property
    def sort_key(self) -> tuple[int, int, str]:
        return sort_key(self.id)


class CheckContext:
    """What a check works with. `mlflow` is shared by all checks of an audit run."""

    def __init__(
        self, check: Check, mlflow: MlflowView | None = None, now: datetime | None = None
    ) -> None:
        self.check = check
        self.mlflow = mlflow or MlflowView()
        self.now = now or timezone.now()

    @property
    def connector(self) -> MLflowConnector:
        """The door to MLflow. Its `Unreachable` makes the check inconclusive, never passed."""
        return self.mlflow.connector

    def passed(
        self, subject: Checked, message: str = "", *, evidence: Mapping[str, Any] | None = None
    ) -> SubjectOutcome:
        """The subject is as it should be."""
        return SubjectOutcome(Subject.of(subject), Outcome.PASS, message, evidence or {})

    def failed(
        self,
        subject: Checked,
        message: str,
        *,
        evidence: Mapping[str, Any] | None = None,
        priority: Priority | None = None,
    ) -> SubjectOutcome:
        """The subject is not as it should be; becomes a finding. Default priority: the check's."""
        return SubjectOutcome(
            Subject.of(subject),
            Outcome.FAIL,
            message,
            evidence or {},
            priority or self.check.priority,
        )

    def inconclusive(
        self, subject: Checked, message: str, *, evidence: Mapping[str, Any] | None = None
    ) -> SubjectOutcome:
        """It could not be established; `message` says why."""
        return SubjectOutcome(Subject.of(subject), Outcome.INCONCLUSIVE, message, evidence or {})


_checks: dict[str, Check] = {}


def check(
    id: str,
    *,
    phase: int,
    title: str,
    remediation: str,
    priority: Priority,
    waivable: bool = True,
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a check function, a generator of outcomes.

    `id` is stable: the plan's item ("2.4"), with a letter from b on for further checks of the
    same item ("2.4b"). Nobody may waive findings of one that is not `waivable`.
    Raises ValueError for a malformed or taken id or a phase that differs.
    """
    match = _ID.fullmatch(id)
    if not match or int(match["phase"]) != phase:
        raise ValueError(f"Check id {id!r} does not belong to phase {phase}.")

    def register(function: CheckFunction) -> CheckFunction:
        known = _checks.get(id)
        if known and known.function is not function:
            raise ValueError(f"Check {id} is already registered as {known.title!r}.")
        item = f"{match['phase']}.{match['item']}"
        _checks[id] = Check(
            id, phase, item, title, remediation, Priority(priority), function, waivable
        )
        return function

    return register


def all_checks() -> list[Check]:
    """Every registered check in the order of the plan."""
    return sorted(_checks.values(), key=lambda each: each.sort_key)


def select(*, phase: int | None = None, check_id: str | None = None) -> list[Check]:
    """The checks of a phase, of an item or with an id; all when neither is given.

    An item ("4.2") selects all its checks; a suffixed id ("4.2b") only that one.
    """
    return [
        each
        for each in all_checks()
        if (phase is None or each.phase == phase)
        and (check_id is None or check_id in (each.id, each.item))
    ]


def find(check_id: str) -> Check | None:
    """The check with this id, or None when it is not (or no longer) registered."""
    return _checks.get(check_id)


def sort_key(check_id: str) -> tuple[int, int, str]:
    """Orders ids as the plan does: 2.9 before 2.10. An id of another form comes last."""
    match = _ID.fullmatch(check_id)
    if not match:
        return (99, 0, check_id)
    return (int(match["phase"]), int(match["item"]), match["suffix"])
