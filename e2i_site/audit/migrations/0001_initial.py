"""Runs of the audit, their results, findings and waivers."""

import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "phase",
                    models.PositiveSmallIntegerField(
                        blank=True, help_text="Empty: all.", null=True
                    ),
                ),
                ("check_id", models.CharField(blank=True, help_text="Empty: all.", max_length=20)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("finished", "Finished"),
                            ("abandoned", "Abandoned"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                (
                    "started_by",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: the schedule or a command.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "job",
                    models.OneToOneField(
                        blank=True,
                        help_text="Empty: it ran inside a command.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="audit_run",
                        to="jobs.job",
                    ),
                ),
                ("checks_total", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("beat_at", models.DateTimeField(help_text="Last sign of life.")),
                (
                    "counts",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="Checks by outcome, and findings open at the end by priority.",
                    ),
                ),
            ],
            options={
                "db_table": "audit_run",
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["status", "-id"], name="audit_run_by_status")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["waiting", "running", "finished", "abandoned"])
                        ),
                        name="audit_run_status_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ("waiting", "running")),
                            ("finished_at__isnull", False),
                            _connector="OR",
                        ),
                        name="audit_run_ended_has_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CheckResult",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="results",
                        to="audit.auditrun",
                    ),
                ),
                ("check_id", models.CharField(max_length=20)),
                ("phase", models.PositiveSmallIntegerField()),
                ("item", models.CharField(max_length=10)),
                ("title", models.CharField(max_length=200)),
                ("remediation", models.TextField()),
                (
                    "priority",
                    models.CharField(
                        choices=[
                            ("P0", "P0 · wrong or unsafe now"),
                            ("P1", "P1 · lost linkage"),
                            ("P2", "P2 · wrong metadata"),
                            ("P3", "P3 · deprecated use or clean-up"),
                            ("P4", "P4 · informational"),
                        ],
                        max_length=2,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("pass", "Passed"),
                            ("fail", "Failed"),
                            ("error", "Error"),
                            ("inconclusive", "Inconclusive"),
                            ("not_applicable", "Not applicable"),
                        ],
                        max_length=14,
                    ),
                ),
                (
                    "message",
                    models.TextField(
                        blank=True, help_text="Why it erred or could not be established."
                    ),
                ),
                ("subjects", models.PositiveIntegerField(default=0)),
                ("passed", models.PositiveIntegerField(default=0)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("inconclusive", models.PositiveIntegerField(default=0)),
                ("seconds", models.FloatField()),
                ("at", models.DateTimeField()),
            ],
            options={
                "db_table": "audit_check_result",
                "ordering": ["run_id", "phase", "id"],
                "indexes": [models.Index(fields=["check_id", "-id"], name="audit_result_by_check")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("run", "check_id"), name="audit_one_result_a_check"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "outcome__in",
                                ["pass", "fail", "error", "inconclusive", "not_applicable"],
                            )
                        ),
                        name="audit_result_outcome_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("priority__in", ["P0", "P1", "P2", "P3", "P4"])),
                        name="audit_result_priority_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "subjects",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        models.F("passed"), "+", models.F("failed")
                                    ),
                                    "+",
                                    models.F("inconclusive"),
                                ),
                            )
                        ),
                        name="audit_result_counts_add_up",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("outcome", "pass"), _negated=True),
                            models.Q(("failed", 0), ("inconclusive", 0), ("passed__gt", 0)),
                            _connector="OR",
                        ),
                        name="audit_result_pass_has_subjects",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("outcome", "fail"), _negated=True),
                            ("failed__gt", 0),
                            _connector="OR",
                        ),
                        name="audit_result_fail_has_failure",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("seconds__gte", 0)), name="audit_result_seconds"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("fingerprint", models.CharField(max_length=64, unique=True)),
                ("check_id", models.CharField(max_length=20)),
                ("phase", models.PositiveSmallIntegerField()),
                ("item", models.CharField(max_length=10)),
                ("title", models.CharField(max_length=200)),
                ("subject_kind", models.CharField(max_length=80)),
                ("subject_key", models.CharField(max_length=300)),
                ("subject_label", models.CharField(max_length=300)),
                ("subject_url", models.CharField(blank=True, max_length=500)),
                (
                    "priority",
                    models.CharField(
                        choices=[
                            ("P0", "P0 · wrong or unsafe now"),
                            ("P1", "P1 · lost linkage"),
                            ("P2", "P2 · wrong metadata"),
                            ("P3", "P3 · deprecated use or clean-up"),
                            ("P4", "P4 · informational"),
                        ],
                        max_length=2,
                    ),
                ),
                ("message", models.TextField()),
                ("remediation", models.TextField()),
                ("evidence", models.JSONField(blank=True, default=dict)),
                (
                    "status",
                    models.CharField(
                        choices=[("open", "Open"), ("waived", "Waived"), ("resolved", "Resolved")],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("opened_at", models.DateTimeField()),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("waived_until", models.DateTimeField(blank=True, null=True)),
                ("occurrences", models.PositiveIntegerField(default=1)),
                (
                    "regressions",
                    models.PositiveIntegerField(
                        default=0, help_text="How often it came back after it was resolved."
                    ),
                ),
                (
                    "first_run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="audit.auditrun",
                    ),
                ),
                (
                    "last_run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="audit.auditrun",
                    ),
                ),
            ],
            options={
                "db_table": "audit_finding",
                "ordering": ["priority", "-opened_at"],
                "indexes": [
                    models.Index(
                        fields=["status", "priority", "-opened_at"], name="audit_finding_queue"
                    ),
                    models.Index(fields=["check_id"], name="audit_finding_by_check"),
                    models.Index(
                        fields=["subject_kind", "subject_key"], name="audit_finding_by_subject"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["open", "waived", "resolved"])),
                        name="audit_finding_status_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("priority__in", ["P0", "P1", "P2", "P3", "P4"])),
                        name="audit_finding_priority_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("resolved_at__isnull", False), ("status", "resolved")),
                            models.Q(
                                models.Q(("status", "resolved"), _negated=True),
                                ("resolved_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="audit_finding_resolved_has_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "waived"), ("waived_until__isnull", False)),
                            models.Q(
                                models.Q(("status", "waived"), _negated=True),
                                ("waived_until__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="audit_finding_waived_has_end",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("first_seen__lte", models.F("opened_at")),
                            ("opened_at__lte", models.F("last_seen")),
                        ),
                        name="audit_finding_times_in_order",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("occurrences__gt", models.F("regressions"))),
                        name="audit_finding_counts_fit",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SubjectResult",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "result",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="outcomes",
                        to="audit.checkresult",
                    ),
                ),
                ("subject_kind", models.CharField(max_length=80)),
                ("subject_key", models.CharField(max_length=300)),
                ("subject_label", models.CharField(max_length=300)),
                ("subject_url", models.CharField(blank=True, max_length=500)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("pass", "Passed"),
                            ("fail", "Failed"),
                            ("error", "Error"),
                            ("inconclusive", "Inconclusive"),
                            ("not_applicable", "Not applicable"),
                        ],
                        max_length=14,
                    ),
                ),
                (
                    "priority",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("P0", "P0 · wrong or unsafe now"),
                            ("P1", "P1 · lost linkage"),
                            ("P2", "P2 · wrong metadata"),
                            ("P3", "P3 · deprecated use or clean-up"),
                            ("P4", "P4 · informational"),
                        ],
                        max_length=2,
                        null=True,
                    ),
                ),
                ("message", models.TextField(blank=True)),
                ("evidence", models.JSONField(blank=True, default=dict)),
                (
                    "finding",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="occurrences_seen",
                        to="audit.finding",
                    ),
                ),
            ],
            options={
                "db_table": "audit_subject_result",
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("result", "subject_kind", "subject_key"),
                        name="audit_one_outcome_a_subject",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("finding__isnull", False),
                                ("outcome", "fail"),
                                ("priority__in", ["P0", "P1", "P2", "P3", "P4"]),
                            ),
                            models.Q(
                                ("finding__isnull", True),
                                ("outcome__in", ("pass", "inconclusive")),
                                ("priority__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="audit_outcome_fail_has_finding",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Waiver",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "finding",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="waivers",
                        to="audit.finding",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="waivers_owned",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "granted_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="waivers_granted",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "priority",
                    models.CharField(
                        choices=[
                            ("P0", "P0 · wrong or unsafe now"),
                            ("P1", "P1 · lost linkage"),
                            ("P2", "P2 · wrong metadata"),
                            ("P3", "P3 · deprecated use or clean-up"),
                            ("P4", "P4 · informational"),
                        ],
                        help_text="Of the finding when it was waived.",
                        max_length=2,
                    ),
                ),
                ("reason", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "ended_because",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("expired", "Expired"),
                            ("revoked", "Revoked"),
                            ("resolved", "The finding was resolved"),
                            ("escalated", "The finding became more urgent"),
                        ],
                        max_length=10,
                    ),
                ),
            ],
            options={
                "db_table": "audit_waiver",
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("finding",),
                        name="audit_one_waiver_in_force",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at__isnull", True), ("ended_because", "")),
                            models.Q(
                                ("ended_at__isnull", False),
                                (
                                    "ended_because__in",
                                    ["expired", "revoked", "resolved", "escalated"],
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="audit_waiver_end_has_cause",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True),
                        name="audit_waiver_has_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__gt", models.F("created_at"))),
                        name="audit_waiver_ends_later",
                    ),
                ],
            },
        ),
    ]
