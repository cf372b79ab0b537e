from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from e2i_site.audit import plan, queries, remedies, runner
from e2i_site.audit.actions.start_audit import start_audit
from e2i_site.audit.choices import Priority
from e2i_site.audit.models import AuditRun, Finding, Waiver
from e2i_site.jobs import runner as jobs
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry.models import SyncState
from tests.factories.jobs import JobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet_broker")]
MOST_QUERIES = 10


@pytest.fixture
def audited(only_checks: Any) -> AuditRun:
    """A run with an open P0 and a P2, one waived, one check that crashed."""

    def failing(context: Any) -> Any:
        for number in range(1, 4):
            yield context.failed(
                f"churn v{number}", "Moved by <b>hand</b>.", evidence={"n": number}
            )
        yield context.passed("churn v9")

    def crashes(context: Any) -> Any:
        raise RuntimeError("no")

    only_checks("4.2", failing, Priority.P0)
    only_checks("4.1", lambda context: [context.failed("run 1", "=cmd()")], Priority.P2)
    only_checks("2.1", lambda context: [context.passed("run 1")])
    only_checks("3.1", crashes)
    return runner.execute(runner.prepare())


@pytest.fixture
def browser(people: SimpleNamespace) -> Callable[[str], Client]:
    def login(role: str) -> Client:
        client = Client()
        client.force_login(getattr(people, role))
        return client

    return login


def pages(run: AuditRun) -> list[str]:
    finding = Finding.objects.filter(priority="P0").first()
    assert finding is not None
    return [
        reverse("audit:home"),
        reverse("audit:findings"),
        reverse("audit:findings") + "?status=resolved&text=churn",
        finding.get_absolute_url(),
        reverse("audit:waive", args=[finding.pk]),
        reverse("audit:runs"),
        run.get_absolute_url(),
        run.get_absolute_url() + "?check=4.2&outcome=fail",
        reverse("audit:report"),
        reverse("audit:report") + f"?run={run.pk}",
    ]


def test_every_page_in_few_queries(audited: AuditRun, browser: Any) -> None:
    client = browser("auditor")
    SyncState.objects.create(succeeded_at=timezone.now())
    for url in pages(audited):
        cache.clear()
        with CaptureQueriesContext(
            connection,
        ) as made:
            response = client.get(url)
        assert response.status_code == 200, url
        assert len(made) <= MOST_QUERIES, (url, [q["sql"][:120] for q in made])
        body = response.content.decode()
        assert "<b>hand</b>" not in body
        assert not re.search(r"\sstyle=|\son\w+=|<script>", body.split("<main", 1)[1]), url


def test_a_run_whose_periodic_job_was_tidied_away_claims_no_command(
    audited: AuditRun, browser: Any
) -> None:
    AuditRun.objects.update(started_by=None, job=JobFactory(kind="audit.run", state="succeeded"))
    page = browser("viewer").get(audited.get_absolute_url()).content.decode()
    assert "Started by the schedule " in page
    Job.objects.all().delete()
    page = browser("viewer").get(audited.get_absolute_url()).content.decode()
    assert "Started by the schedule or a command" in page


def test_pages_ask_for_a_login_and_a_role(audited: AuditRun, browser: Any) -> None:
    for url in pages(audited):
        assert Client().get(url).status_code == 302
        assert browser("outsider").get(url).status_code == 403
        assert browser("viewer").get(url).status_code == 200


def test_the_plan_shows_every_item(audited: AuditRun, browser: Any) -> None:
    body = browser("viewer").get(reverse("audit:home")).content.decode()
    for phase in plan.PHASES:
        for item in phase.items:
            assert escape(f"{item.id} {item.title}") in body
    assert "3 of 4 failed" in body or "1 of 4 passed" in body
    assert "Starting an audit needs the role" in body


def test_an_auditor_starts_an_audit_and_sees_its_progress(audited: Any, browser: Any) -> None:
    client = browser("auditor")
    response = client.post(reverse("audit:start"))
    run = AuditRun.objects.latest("id")
    assert (response.status_code, response["Location"]) == (303, run.get_absolute_url())
    assert TrailEntry.objects.filter(event="audit.run.started").exists()
    assert 'hx-trigger="every 2s"' in client.get(reverse("audit:home")).content.decode()
    htmx = {"HTTP_HX_REQUEST": "true"}
    part = client.get(reverse("audit:progress"), **htmx).content.decode()
    assert "Waiting for a worker" in part
    assert "<html" not in part
    assert "0 of 4" in client.get(reverse("audit:run_progress", args=[run.pk])).content.decode()
    runner.execute(run)
    for url in (reverse("audit:progress"), reverse("audit:run_progress", args=[run.pk])):
        assert client.get(url, **htmx)["HX-Refresh"] == "true"
    assert 'hx-trigger="every 2s"' not in client.get(run.get_absolute_url()).content.decode()


def test_one_check_or_phase_can_be_started(audited: Any, browser: Any) -> None:
    client = browser("auditor")
    client.post(reverse("audit:start"), {"check": "4.2"})
    run = AuditRun.objects.latest("id")
    assert (run.check_id, run.checks_total) == ("4.2", 1)
    jobs.run(run.job_id)
    client.post(reverse("audit:start"), {"phase": "4"})
    assert AuditRun.objects.latest("id").checks_total == 2


@pytest.mark.parametrize("data", [{"check": "9.9"}, {"phase": "x"}, {"phase": "²"}, {"phase": "9"}])
def test_an_unknown_scope_is_a_clear_page(audited: Any, browser: Any, data: Any) -> None:
    before = AuditRun.objects.count()
    assert browser("auditor").post(reverse("audit:start"), data).status_code == 400
    assert AuditRun.objects.count() == before


@pytest.mark.parametrize("role", ["viewer", "requester"])
def test_others_cannot_start(audited: Any, browser: Any, role: str) -> None:
    before = AuditRun.objects.count()
    assert browser(role).post(reverse("audit:start")).status_code == 403
    assert AuditRun.objects.count() == before


def test_a_second_start_says_who_is_at_it(audited: Any, browser: Any, people: Any) -> None:
    run = start_audit(actor=people.auditor)
    response = browser("administrator").post(reverse("audit:start"))
    assert response.status_code == 403
    assert f"{run} is still going on." in response.content.decode()


def test_filters_and_csv_agree(audited: AuditRun, browser: Any) -> None:
    client = browser("viewer")
    listed = client.get(reverse("audit:findings"), {"priority": "P2"}).content.decode()
    assert "run 1" in listed
    assert "churn v1" not in listed
    response = client.get(reverse("audit:findings_export"), {"priority": "P2"})
    rows = list(csv.DictReader(io.StringIO(b"".join(response).decode())))
    assert [(row["check"], row["message"]) for row in rows] == [("4.1", "'=cmd()")]


def test_a_filter_that_is_not_understood_lets_nothing_through(
    audited: AuditRun, browser: Any
) -> None:
    client = browser("viewer")
    wrong = {"priority": "P9"}
    assert not client.get(reverse("audit:findings"), wrong).context["page"].object_list
    assert client.get(reverse("audit:findings_export"), wrong).status_code == 400
    assert not client.get(reverse("audit:runs"), {"status": "odd"}).context["page"].rows
    outcomes = client.get(reverse("audit:run", args=[audited.pk]), {"outcome": "odd"})
    assert not outcomes.context["page"].object_list


def test_htmx_gets_the_results_only(audited: AuditRun, browser: Any) -> None:
    headers = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "results"}
    body = browser("viewer").get(reverse("audit:findings"), {"text": "v2"}, **headers)
    assert body.content.decode().strip().startswith('<div id="results"')
    assert "churn v2" in body.content.decode()
    assert "churn v1" not in body.content.decode()


def test_the_two_empty_states(only_checks: Any, browser: Any) -> None:
    client = browser("viewer")
    assert "Nothing is open" in client.get(reverse("audit:findings")).content.decode()
    narrowed = client.get(reverse("audit:findings"), {"text": "nobody"}).content.decode()
    assert "No findings match these filters" in narrowed
    assert "No audit has run yet" in client.get(reverse("audit:home")).content.decode()


@pytest.fixture
def p2(audited: AuditRun) -> Finding:
    return Finding.objects.get(priority="P2")


def wanted(**changes: Any) -> dict[str, Any]:
    day = timezone.now().date() + timedelta(days=10)
    return {"until": day.isoformat(), "reason": "It is moved next week.", **changes}


def test_a_finding_is_waived_and_the_waiver_revoked(p2: Finding, browser: Any, people: Any) -> None:
    client = browser("auditor")
    response = client.post(reverse("audit:waive", args=[p2.pk]), wanted(owner=people.approver.pk))
    assert response.status_code == 303
    page = client.get(p2.get_absolute_url()).content.decode()
    assert "approver answers for it" in page
    assert "Revoke the waiver" in page
    shown = client.get(reverse("audit:findings")).content.decode()
    assert "run 1" not in shown
    response = client.post(
        reverse("audit:revoke", args=[p2.pk]), {"reason": "It was moved already."}
    )
    assert response.status_code == 303
    p2.refresh_from_db()
    assert p2.status == "open"
    assert Waiver.objects.get().ended_because == "revoked"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reason": "short"}, "at least 10 characters"),
        ({"until": "2020-01-01"}, "must end in the future"),
        ({"until": "2099-01-01"}, "at most 90 days"),
        ({"owner": ""}, "This field is required"),
    ],
)
def test_what_was_typed_stays_when_something_is_wrong(
    p2: Finding, browser: Any, people: Any, change: dict[str, str], words: str
) -> None:
    data = wanted(owner=people.auditor.pk) | {"reason": "It is moved next week."} | change
    response = browser("auditor").post(reverse("audit:waive", args=[p2.pk]), data)
    body = response.content.decode()
    assert response.status_code == 400
    assert words in body
    assert data["reason"] in body
    assert not Waiver.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "requester", "reviewer", "approver", "deployer"])
def test_others_see_why_they_cannot_waive(
    p2: Finding, browser: Any, people: Any, role: str
) -> None:
    client = browser(role)
    url = reverse("audit:waive", args=[p2.pk])
    assert "needs the role auditor" in client.get(url).content.decode()
    response = client.post(url, wanted(owner=people.auditor.pk))
    assert response.status_code == 400
    assert not Waiver.objects.exists()


@pytest.mark.parametrize(
    ("format", "kind"),
    [("md", "text/markdown"), ("html", "text/html"), ("json", "application/json")],
)
def test_the_report_downloads(audited: Any, browser: Any, format: str, kind: str) -> None:
    response = browser("viewer").get(reverse("audit:report_download", args=[format]))
    assert response["Content-Type"].startswith(kind)
    assert response["Content-Disposition"].startswith('attachment; filename="audit-report-')


def test_a_format_that_cannot_be_made_here_says_why(
    audited: Any, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    monkeypatch.setattr("e2i_site.audit.report.find_spec", lambda name: None)
    client = browser("viewer")
    assert "PDF needs WeasyPrint" in client.get(reverse("audit:report")).content.decode()
    response = client.get(reverse("audit:report_download", args=["pdf"]))
    assert response.status_code == 400
    assert "Print HTML, or install them." in response.content.decode()


def test_formats_and_runs_that_do_not_exist(audited: Any, browser: Any) -> None:
    client = browser("viewer")
    assert client.get(reverse("audit:report_download", args=["docx"])).status_code == 400
    for number in ("x", "²", "9" * 5000):
        assert client.get(reverse("audit:report"), {"run": number}).status_code == 400
    assert client.get(reverse("audit:report"), {"run": "999999"}).status_code == 404


def test_acts_ask_for_the_csrf_token(audited: Any, people: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.auditor)
    assert client.post(reverse("audit:start")).status_code == 403


def test_a_remedy_is_offered_started_and_recorded(
    audited: AuditRun, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, str]] = []
    offered = remedies.Remedy(
        "Carry again", "Repeats it.", lambda f, user: started.append((f.check_id, user.username))
    )
    monkeypatch.setattr(remedies, "_remedies", {"4.1": offered})
    finding = Finding.objects.get(check_id="4.1")
    url = reverse("audit:remedy", args=[finding.pk])
    assert "Carry again" in browser("viewer").get(finding.get_absolute_url()).content.decode()
    assert browser("viewer").post(url).status_code == 403
    assert started == []
    assert browser("deployer").post(url).status_code == 303
    assert started == [("4.1", "deployer")]
    entry = TrailEntry.objects.get(event="audit.remedy.started")
    assert (entry.actor_name, entry.new) == ("deployer", {"remedy": "Carry again"})
    finding.refresh_from_db()
    assert finding.status == "open"


def test_a_check_without_remedy_offers_none(audited: AuditRun, browser: Any) -> None:
    finding = Finding.objects.get(check_id="4.1")
    url = reverse("audit:remedy", args=[finding.pk])
    assert browser("auditor").post(url).status_code == 400


def test_very_many_findings_are_counted_right(
    audited: AuditRun, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Finding.objects.filter(subject_label="churn v2").update(
        status="waived", waived_until=timezone.now() + timedelta(days=1)
    )
    few = queries.standing(timezone.now())
    monkeypatch.setattr(queries, "MANY", 2)
    many = queries.standing(timezone.now())
    assert few.counts == many.counts == {"P0": 2, "P1": 0, "P2": 1, "P3": 0, "P4": 0}
    assert few.waived == many.waived == 1
