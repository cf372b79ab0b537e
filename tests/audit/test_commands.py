from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from e2i_site.audit.choices import Priority

pytestmark = pytest.mark.django_db


def call(name, *args):
    out, err = io.StringIO(), io.StringIO()
    status = 0
    try:
        call_command(name, *args, stdout=out, stderr=err)
    except SystemExit as stop:
        status = stop.code
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def checks(only_checks):
    only_checks("2.1", lambda context: [context.passed("run 1"), context.passed("run 2")])
    only_checks("3.1", lambda context: ())
    only_checks(
        "4.2",
        lambda context: [context.failed("churn v2", "Alias points to 1.", evidence={"alias": 1})],
        Priority.P1,
    )


def test_the_json_document_has_the_fixed_fields(checks):
    status, out, err = call("run_audit", "--json")
    document = json.loads(out)
    assert status == 0
    assert isinstance(document["run_id"], int)
    for each in document["checks"]:
        assert {"id", "phase", "outcome", "subjects", "seconds"} <= set(each)
    assert [(c["id"], c["outcome"], c["subjects"]) for c in document["checks"]] == [
        ("2.1", "pass", 2),
        ("3.1", "not_applicable", 0),
        ("4.2", "fail", 1),
    ]
    (finding,) = document["findings"]
    assert (finding["check"], finding["subject"], finding["priority"]) == ("4.2", "churn v2", "P1")
    assert (finding["message"], finding["remediation"], finding["evidence"]) == (
        "Alias points to 1.",
        "Mend 4.2.",
        {"alias": 1},
    )
    assert document["counts"]["open_findings"]["P1"] == 1
    assert err == ""


@pytest.mark.parametrize(
    ("args", "status"),
    [
        ((), 0),
        (("--fail-on", "P0"), 0),
        (("--fail-on", "P1"), 1),
        (("--fail-on", "P4"), 1),
        (("--phase", "2", "--fail-on", "P4"), 0),
        (("--check", "4.2", "--fail-on", "P2"), 1),
    ],
)
def test_exit_status_follows_the_level(checks, args, status):
    assert call("run_audit", *args)[0] == status


def test_a_check_without_an_answer_does_not_let_a_gate_pass(only_checks):
    def crashes(context):
        raise RuntimeError("no")

    only_checks("2.1", crashes, Priority.P1)
    assert call("run_audit", "--fail-on", "P0")[0] == 0
    status, _, err = call("run_audit", "--fail-on", "P1")
    assert status == 1
    assert "No answer from check 2.1." in err


@pytest.mark.parametrize("args", [("--phase", "9"), ("--check", "8.8")])
def test_an_unknown_scope_is_wrong_usage(checks, args):
    with pytest.raises(CommandError, match="There is no") as error:
        call_command("run_audit", *args)
    assert error.value.returncode == 2


def test_the_report_in_each_format(checks, tmp_path):
    call("run_audit")
    for format, start in (("md", "# "), ("html", "<!DOCTYPE html>"), ("json", "{")):
        file = tmp_path / f"report.{format}"
        call("audit_report", "--format", format, "--output", str(file))
        assert file.read_text() == file.read_text().strip() + "\n"
        assert file.read_text().startswith(start)
    assert call("audit_report")[1].startswith("# ")


def test_pdf_needs_a_file(db):
    with pytest.raises(CommandError, match="--output"):
        call_command("audit_report", "--format", "pdf")


def test_a_file_that_cannot_be_written_is_one_clear_line(checks, tmp_path):
    with pytest.raises(CommandError, match="cannot be written") as error:
        call_command("audit_report", "--output", str(tmp_path / "no" / "such" / "r.md"))
    assert error.value.returncode == 2


def test_the_report_of_a_run_that_does_not_exist(db):
    with pytest.raises(CommandError, match="no audit run 77"):
        call_command("audit_report", "--run", "77")
