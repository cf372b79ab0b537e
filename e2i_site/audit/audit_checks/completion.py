"""Phase 6: the record holds, the documents fit the code, nothing unsafe is open."""

from __future__ import annotations

from collections.abc import Iterator

from e2i_site.audit import plan, report, state
from e2i_site.audit.choices import Outcome, Priority
from e2i_site.audit.models import Finding
from e2i_site.audit.registry import CheckContext, Subject, SubjectOutcome, check
from e2i_site.trail.record import verify

TRAIL = Subject("trail", "trail", "The trail", "/trail/")
SCHEMA = Subject("api.schema", "v1", "The API schema", "/api/docs/")
PLAN = Subject("audit.plan", "plan", "The audit plan", "/audit/")


@check(
    "6.1",
    phase=6,
    title="The trail's hash chain verifies from the first entry to the last",
    remediation="Somebody changed the database behind E2I. Stop governed work, compare the table "
    "trail_entry with the last backup from the first bad entry on, and find out who had access.",
    priority=Priority.P0,
)
def trail_verifies(context: CheckContext) -> Iterator[SubjectOutcome]:
    """The chain is unbroken and nothing stands behind its recorded end."""
    result = verify()
    evidence = {"entries": result.entries, "first_bad": result.first_bad}
    if not result.ok:
        yield context.failed(TRAIL, result.message, evidence=evidence)
    elif result.entries:
        yield context.passed(TRAIL, result.message, evidence=evidence)


@check(
    "6.2",
    phase=6,
    title="The API schema generates from the code, is valid, and leaves nothing unexplained",
    remediation="Run manage.py spectacular --validate and annotate the views that it names.",
    priority=Priority.P2,
)
def schema_generates(context: CheckContext) -> Iterator[SubjectOutcome]:
    """The schema has paths, is valid OpenAPI, and its generator has no complaint."""
    # Not at the start: they bring Django's test client into every process.
    from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
    from drf_spectacular.generators import SchemaGenerator
    from drf_spectacular.validation import validate_schema

    reset_generator_stats()
    with GENERATOR_STATS.silence():
        schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
        complaints = [
            *GENERATOR_STATS._error_cache,
            *GENERATOR_STATS._warn_cache,
        ]
    validate_schema(schema)  # type: ignore[no-untyped-call]
    paths = len(schema.get("paths", {}))
    evidence = {"paths": paths, "complaints": complaints[:20]}
    if not paths:
        yield context.failed(SCHEMA, "The schema describes no path.", evidence=evidence)
    elif complaints:
        message = f"The generator could not explain {len(complaints)} things."
        yield context.failed(SCHEMA, message, evidence=evidence)
    else:
        yield context.passed(SCHEMA, f"{paths} paths, valid OpenAPI.", evidence=evidence)


@check(
    "6.3",
    phase=6,
    title="The completion report renders in every text format",
    remediation="Run manage.py audit_report --format md and mend what it names.",
    priority=Priority.P2,
)
def report_renders(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Markdown, HTML and JSON come out of the present outcomes."""
    built = report.build()
    sizes = {name: len(report.render(built, name)) for name in ("md", "html", "json")}
    subject = Subject("audit.report", "report", "The completion report", "/audit/report/")
    yield context.passed(subject, "It renders.", evidence={"bytes": sizes})


@check(
    plan.COMPLETION,
    phase=6,
    title="No P0 finding is open, and every check that could find one gave an answer",
    remediation="Work through the open P0 findings; each names its own remedy. Then run the "
    "audit again.",
    priority=Priority.P1,
)
def nothing_unsafe(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Open P0 findings fail it; a P0 check without an answer makes it inconclusive."""
    unsafe = Finding.objects.open(context.now).filter(priority=Priority.P0)
    found = [str(each) for each in unsafe.exclude(check_id=plan.COMPLETION)]
    silent = [
        check.id
        for phase in state.latest()
        for item in phase.items
        for check in item.checks
        if check.priority == Priority.P0
        and check.status in (state.NEVER_RAN, Outcome.ERROR, Outcome.INCONCLUSIVE)
    ]
    if found:
        yield context.failed(
            PLAN, f"P0 findings are open: {len(found)}.", evidence={"findings": found}
        )
    elif silent:
        message = f"No answer from {', '.join(silent)}, so nobody knows."
        yield context.inconclusive(PLAN, message, evidence={"checks": silent})
    else:
        yield context.passed(PLAN, "No P0 finding is open.")
