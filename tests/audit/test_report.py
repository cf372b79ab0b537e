from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from e2i_site.audit import plan, registry, report, runner
from e2i_site.audit.actions.waive import revoke_waiver, waive
from e2i_site.audit.choices import FindingStatus, Priority
from e2i_site.audit.models import Finding
from e2i_site.core.errors import ConfigurationError, InvalidInput
from tests.factories.audit import FindingFactory
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


def run():
    return runner.execute(runner.prepare())


def markdown(of=None):
    return report.render(report.build(of), "md").decode()


@pytest.fixture
def mixed(only_checks):
    """A failing trainer check that can be mended, a passing selector check, a crash."""
    broken = {"2.2": True}

    def trainer(context):
        if broken["2.2"]:
            yield context.failed("run | <b>1</b>", "auc *differs*", priority=Priority.P0)
        else:
            yield context.passed("run | <b>1</b>")

    def crashes(context):
        raise RuntimeError("no")

    only_checks("2.2", trainer)
    only_checks("3.3", lambda context: [context.passed("churn v1"), context.passed("churn v2")])
    only_checks("4.1", crashes)
    return broken


def test_it_has_the_form_of_the_plan(mixed):
    run()
    text = markdown()
    headings = re.findall(r"^##? .*$", text, re.MULTILINE)
    assert headings[0] == f"# {report.TITLE}"
    assert headings[2] == "## Executive summary"
    assert [h for h in headings if h.startswith("## Phase")] == [
        h for p in plan.PHASES for h in headings if h.startswith(f"## Phase {p.number}: {p.title}")
    ]
    assert headings[-2:] == ["## Remediation summary", "## Progress"]
    for phase in plan.PHASES:
        for item in phase.items:
            assert f"**{item.id}** {item.title.replace('_', chr(92) + '_')}" in text


def test_only_what_passed_is_ticked(mixed):
    run()
    ticked = set(re.findall(r"^- \[x\] \*\*(\S+)\*\*", markdown(), re.MULTILINE))
    assert ticked == {"3.3"}


def test_what_no_check_answers_says_so(mixed):
    run()
    text = markdown()
    assert "- [ ] **2.1**" in text
    assert text.count("Not automated") >= 3
    assert "Covered by the test suite (`tests/registry`); no live check" in text


def test_the_state_table_is_computed(mixed):
    run()
    rows = {row.agent: row for row in report.build().agents}
    trainer, selector = rows["model_trainer"], rows["model_selector"]
    assert (trainer.mlflow, trainer.database) == ("not automated", "0 of 1 items passed, 1 failed")
    assert trainer.status == "1 open finding, worst P0"
    assert (selector.database, selector.status) == ("1 of 1 items passed", "verified")
    assert rows["model_deployer"].status == "error"


def test_text_from_outside_has_no_meaning_to_markdown_or_html(mixed):
    run()
    assert r"run \| \<b\>1\</b\>" in markdown()
    assert r"auc \*differs\*" in markdown()
    html = report.render(report.build(), "html").decode()
    assert "<b>1</b>" not in html
    assert "run | &lt;b&gt;1&lt;/b&gt;" in html


def test_what_was_mended_is_listed_as_resolved(mixed):
    failing = run()
    assert not report.build().is_clean
    assert "1 open finding (1 P0)" in report.build().verdict
    mixed["2.2"] = False
    run()
    now = report.build()
    assert [row.check for row in now.resolved] == ["2.2"]
    assert now.findings == []
    assert now.verdict == "Not clean: 1 item in error."
    # The earlier run's own report still says what that run saw.
    then = report.build(failing)
    assert [(row.check, row.status) for row in then.findings] == [("2.2", "open")]


def test_a_run_shows_what_was_waived_while_it_ran_as_waived(only_checks):
    only_checks("2.2", lambda context: [context.failed("run", "auc differs.")])
    before = run()
    waived, auditor = Finding.objects.get(), UserFactory(roles=["auditor"])
    until = timezone.now() + timedelta(days=3)
    waive(
        finding=waived, actor=auditor, owner=auditor, reason="Mended next week.", expires_at=until
    )
    after = run()
    revoke_waiver(finding=waived, actor=auditor, reason="It is urgent after all.")
    for shown, status in ((before, "open"), (after, "waived"), (run(), "open")):
        assert [row.status for row in report.build(shown).findings] == [status]
    assert "1 item failing under a waiver" in report.build(after).verdict


def test_what_nobody_could_waive_stays_in_every_report(mixed):
    run()
    registry.check(
        "4.3b",
        phase=4,
        title="Past the gates",
        remediation="Judge it.",
        priority=Priority.P0,
        waivable=False,
    )(lambda context: iter(()))
    now = timezone.now()
    fields = {"status": FindingStatus.RESOLVED, "resolved_at": now}
    old = FindingFactory(check_id="4.3b", **{**fields, "resolved_at": now - timedelta(days=900)})
    for _ in range(report.RESOLVED_SHOWN + 1):
        FindingFactory(**fields)
    rows = report.build().resolved
    assert rows[0].subject == old.subject_label
    assert len(rows) == report.RESOLVED_SHOWN + 1


def test_a_clean_audit_is_called_clean(only_checks):
    only_checks("2.1", lambda context: [context.passed("run 1")])
    only_checks("4.6", lambda context: ())
    run()
    assert report.build().is_clean
    assert "**Status**: ✅ CLEAN" in markdown()


def test_nothing_audited_is_not_clean(only_checks):
    only_checks("2.1", lambda context: ())
    assert not report.build().is_clean
    run()
    assert not report.build().is_clean
    assert report.build().verdict.startswith("Nothing has been established")


def test_the_json_says_the_same(mixed):
    run()
    document = json.loads(report.render(report.build(), "json"))
    assert document["clean"] is False
    assert document["open_findings"]["P0"] == 1
    assert [phase["phase"] for phase in document["phases"]] == [1, 2, 3, 4, 5, 6]
    assert document["remediation"][0]["remediation"] == "Mend 2.2."


def test_an_unknown_format_is_refused(db):
    with pytest.raises(InvalidInput, match="md, html, json, pdf"):
        report.render(report.build(), "docx")


def test_pdf_is_made_or_says_what_is_missing(mixed):
    run()
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError):
        with pytest.raises(ConfigurationError, match="WeasyPrint"):
            report.render(report.build(), "pdf")
    else:
        assert report.render(report.build(), "pdf").startswith(b"%PDF")
