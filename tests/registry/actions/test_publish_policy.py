"""Policies are published by administrators, versioned, and never change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from e2i_site.core.errors import Conflict, InvalidInput, Refused
from e2i_site.trail.models import TrailEntry
from registry.actions.publish_policy import publish_in_person, publish_policy
from registry.gates.evaluate import content_hash
from registry.models import PromotionPolicy
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
SOURCE = """\
# Ours
name: strict
models: ["churn_*"]
stages:
  staging:
    gates: [{id: signature}]
    approvals: {count: 1, roles: [approver]}
"""
STRICTER = SOURCE.replace("count: 1", "count: 2")
EVENT = "registry.policy.published"


def test_publishing_makes_versions_and_leaves_a_trail() -> None:
    admin = UserFactory(roles=["administrator"])
    with pytest.raises(Refused):
        publish_policy(source=SOURCE, reason="Why", actor=UserFactory(roles=["approver"]))
    with pytest.raises(InvalidInput, match="Say why"):
        publish_policy(source=SOURCE, reason=" ", actor=admin)
    with pytest.raises(InvalidInput, match="Line 6"):
        publish_policy(source=SOURCE.replace("signature", "nope"), reason="Why", actor=admin)
    first = publish_policy(source=SOURCE, reason="Why", actor=admin)
    assert publish_policy(source=SOURCE + "# more\n", reason="Why", actor=admin) == first
    second = publish_policy(source=STRICTER, reason="Two see more", actor=admin)
    assert [first.version, second.version, second.source] == [1, 2, STRICTER]
    entry = TrailEntry.objects.filter(event=EVENT).order_by("id").last()
    assert entry and entry.reason == "Two see more"
    assert entry.old["stages"]["staging"]["approvals"]["count"] == 1
    assert entry.new["stages"]["staging"]["approvals"]["count"] == 2
    assert TrailEntry.objects.filter(event=EVENT).count() == 2


def test_in_person_it_takes_the_password_and_the_version_that_was_seen() -> None:
    admin = UserFactory(roles=["administrator"])
    given = {"source": SOURCE, "reason": "Why", "actor": admin}
    with pytest.raises(InvalidInput, match="password"):
        publish_in_person(**given, seen=0, password="wrong")
    assert not PromotionPolicy.objects.filter(name="strict").exists()
    publish_in_person(**given, seen=0, password=PASSWORD)
    signed = TrailEntry.objects.get(event=EVENT).new
    assert signed["statement"]["meaning"] == "I publish strict v1."
    assert signed["statement"]["source_sha256"] == signed["source_sha256"]
    assert signed["signature"] == content_hash(signed["statement"])
    with pytest.raises(Conflict, match="newest version of strict is 1 by now"):
        publish_in_person(**{**given, "source": STRICTER}, seen=0, password=PASSWORD)
    with pytest.raises(Conflict, match="nothing to publish"):
        publish_in_person(**given, seen=1, password=PASSWORD)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ml_promotion_policies SET reason = 'x'",
        "DELETE FROM ml_promotion_policies",
        "REPLACE INTO ml_promotion_policies SELECT * FROM ml_promotion_policies",
        "TRUNCATE ml_promotion_policies CASCADE",
    ],
)
def test_the_database_refuses_to_change_a_version(statement: str) -> None:
    if connection.vendor != {"REPLACE": "sqlite", "TRUNCATE": "postgresql"}.get(
        statement.split()[0], connection.vendor
    ):
        return
    with (
        pytest.raises(DatabaseError, match="cannot be changed or deleted"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


# --- manage.py publish_policies ---------------------------------------------------------------


def test_the_command_publishes_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = UserFactory(roles=["administrator"])
    (tmp_path / "strict.yaml").write_text(SOURCE)
    assert _run(tmp_path, "--check") == 1
    assert "strict would be new, v1" in capsys.readouterr().out
    assert _run(tmp_path, "--reason", "Why", "--user", admin.username) == 0
    assert "strict v1 published" in capsys.readouterr().out
    assert _run(tmp_path, "--check", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["policies"]
    assert (row["change"], row["version"], row["problems"]) == ("none", 1, [])


def test_with_one_wrong_file_nothing_is_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = UserFactory(roles=["administrator"])
    (tmp_path / "a.yaml").write_text(SOURCE)
    (tmp_path / "b.yml").write_text(SOURCE)
    (tmp_path / "c.yaml").write_text("name: c\nstages: {}\n")
    (tmp_path / "d.yaml").write_bytes(b"\xff")
    assert _run(tmp_path, "--reason", "Why", "--user", admin.username) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/b.yml:1:1: strict is the name of the policy in {tmp_path}/a.yaml" in said
    assert f"{tmp_path}/c.yaml:2:1: stages: It gives rules" in said
    assert f"{tmp_path}/d.yaml:1:1: It cannot be read" in said
    assert not PromotionPolicy.objects.filter(name="strict").exists()


def test_who_may_not_publish_does_not_by_command(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SOURCE)
    viewer = UserFactory(roles=["viewer"])
    with pytest.raises(CommandError, match="Only an administrator"):
        call_command("publish_policies", tmp_path, "--reason", "x", "--user", viewer.username)
    for arguments in (["--reason", "x", "--user", "nobody"], []):
        with pytest.raises(CommandError) as wrong:
            call_command("publish_policies", tmp_path, *arguments)
        assert wrong.value.returncode == 2


def test_the_projects_own_policies_are_in_force() -> None:
    assert _run("--check") == 0


def _run(*arguments: object) -> int:
    try:
        call_command("publish_policies", *arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0
