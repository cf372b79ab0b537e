"""The plan with what the checks found: the page's and the report's view of the audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max

from e2i_site.audit import plan, registry
from e2i_site.audit.choices import Outcome, worst
from e2i_site.audit.models import AuditRun, CheckResult
from e2i_site.audit.plan import Aspect, Item, Phase

NOT_AUTOMATED = "not_automated"
BY_TESTS = "by_tests"
NEVER_RAN = "never_ran"

# What an item or phase can be, beside the outcomes of checks.
LABELS = {
    **dict(Outcome.choices),
    NOT_AUTOMATED: "Not automated",
    BY_TESTS: "Test suite",
    NEVER_RAN: "Never ran",
}


@dataclass(frozen=True)
class CheckState:
    """A check and its latest result, if it ever ran."""

    id: str
    title: str
    priority: str
    result: CheckResult | None

    @property
    def status(self) -> str:
        return self.result.outcome if self.result else NEVER_RAN

    @property
    def label(self) -> str:
        return str(LABELS[self.status])

    @property
    def summary(self) -> str:
        return self.result.summary if self.result else "It has not run yet."


@dataclass(frozen=True)
class ItemState:
    """A line of the plan with its checks."""

    item: Item
    checks: tuple[CheckState, ...]

    @property
    def status(self) -> str:
        if not self.checks:
            return BY_TESTS if self.item.by_tests else NOT_AUTOMATED
        return _reduce(each.status for each in self.checks)

    @property
    def label(self) -> str:
        return str(LABELS[self.status])

    @property
    def observed(self) -> str:
        """How much was seen, in a few words; empty when there is nothing to count."""
        results = [each.result for each in self.checks if each.result and each.result.subjects]
        if not results:
            return ""
        passed = sum(each.passed for each in results)
        return f"{passed} of {sum(each.subjects for each in results)} passed"

    @property
    def is_done(self) -> bool:
        """Established and good. Nothing to look at yet is not done."""
        return self.status == Outcome.PASS

    @property
    def is_live(self) -> bool:
        """True when a check, not the test suite, answers for it."""
        return bool(self.checks)


@dataclass(frozen=True)
class PhaseState:
    """A phase of the plan. `status` is the worst of its live items."""

    phase: Phase
    items: tuple[ItemState, ...]
    first_at: datetime | None
    last_at: datetime | None

    @property
    def live(self) -> list[ItemState]:
        return [each for each in self.items if each.is_live]

    @property
    def done(self) -> int:
        return sum(each.is_done for each in self.live)

    @property
    def status(self) -> str:
        if not self.live:
            return NOT_AUTOMATED
        return _reduce(each.status for each in self.live)

    @property
    def label(self) -> str:
        return str(LABELS[self.status])

    @property
    def results(self) -> list[CheckResult]:
        return [check.result for item in self.items for check in item.checks if check.result]

    @property
    def subjects(self) -> int:
        return sum(each.subjects for each in self.results)

    @property
    def passed(self) -> int:
        return sum(each.passed for each in self.results)

    def aspect(self, aspect: Aspect) -> list[ItemState]:
        """The live items that answer for one column of the state table."""
        return [each for each in self.live if each.item.aspect is aspect]


def _reduce(statuses: Iterable[str]) -> str:
    """The worst outcome; what never ran hides behind nothing but a failure or an error."""
    known = list(statuses)
    outcome = worst(each for each in known if each != NEVER_RAN)
    if NEVER_RAN in known and outcome not in (Outcome.FAIL, Outcome.ERROR):
        return NEVER_RAN
    return outcome.value


def of_run(run: AuditRun) -> list[PhaseState]:
    """The plan as one run saw it."""
    return _build({each.check_id: each for each in run.results.all()})


def latest() -> list[PhaseState]:
    """The plan with the latest result of each check, whichever run it came from; one query."""
    newest = CheckResult.objects.values("check_id").annotate(newest=Max("id")).values("newest")
    results = CheckResult.objects.filter(pk__in=newest).select_related("run")
    return _build({each.check_id: each for each in results})


def _build(results: Mapping[str, CheckResult]) -> list[PhaseState]:
    by_item: dict[str, list[CheckState]] = {}
    for check in registry.all_checks():
        state = CheckState(check.id, check.title, check.priority, results.get(check.id))
        by_item.setdefault(check.item, []).append(state)
    return [_phase(each, by_item) for each in plan.PHASES]


def _phase(phase: Phase, by_item: Mapping[str, list[CheckState]]) -> PhaseState:
    items = tuple(ItemState(item, tuple(by_item.get(item.id, ()))) for item in phase.items)
    times = [check.result.at for item in items for check in item.checks if check.result]
    return PhaseState(phase, items, min(times, default=None), max(times, default=None))
