"""Specimens for /design/, which exists only with DEBUG on: every component with made-up values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from e2i_site.core.charts import Limit, LineChart, Mark, Series
from e2i_site.core.decision import refuse


class _Filter(forms.Form):
    q = forms.CharField(label="Search", widget=forms.TextInput(attrs={"type": "search"}))
    status = forms.ChoiceField(choices=[("", "Any"), ("finished", "Finished")])


class _Form(forms.Form):
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), help_text="Everybody can read it, for ever."
    )
    stage = forms.ChoiceField(choices=[("shadow", "Shadow")], required=False)
    keep_warm = forms.BooleanField(required=False, help_text="The old version stays loaded.")


def design(request: HttpRequest) -> HttpResponse:
    """Every component once."""
    return render(request, "design.html", _context())


def _context() -> dict[str, Any]:
    now = timezone.now()
    statuses = ("running", "finished", "failed", "queued")
    rows = [
        {"name": f"specimen {n}", "status": statuses[n % 4], "auc": 0.79 + n / 200, "at": now}
        for n in range(8)
    ]
    minutes = [now - timedelta(minutes=60 - n) for n in range(60)]
    p99 = [80 + (n * 37 % 23) + (40 if n > 45 else 0) for n in range(60)]
    return {
        "refused": refuse("You asked for this promotion; somebody else must approve it."),
        "badges": [
            ["development", "staging", "shadow", "production", "archived", "deprecated"],
            ["pass", "fail", "inconclusive", "error", "not_applicable", "blocked"],
            ["queued", "running", "waiting", "succeeded", "failed", "cancelled"],
            ["open", "changes_requested", "approved", "applied", "rejected", "superseded"],
            ["deploying", "active", "draining", "retired", "rolled_back"],
            ["P0", "P1", "P2", "P3", "P4", "waived", "resolved"],
        ],
        "some_time": now - timedelta(hours=3),
        "pairs": [("Observed", "0.812"), ("n", "4 038"), ("Interval", "0.798 – 0.827")],
        "spark": [3, 4, 6, 5, 8, 7, 9, 12, 11, 14],
        "rows": rows,
        "page": Paginator(rows, 3).page(2),
        "form": _Filter(),
        "bad_form": _Form({"reason": "", "stage": "shadow"}),
        "events": [
            {
                "at": now,
                "title": "approved",
                "actor": "grace",
                "icon": "check",
                "tone": "good",
                "text": "Better calibrated, and the window is clean.",
            },
            {"at": now - timedelta(hours=2), "title": "Gates evaluated", "icon": "list-check"},
            {
                "at": now - timedelta(hours=3),
                "title": "asked for production",
                "actor": "ada",
                "icon": "git-pull-request",
                "tone": "info",
            },
        ],
        "chart": LineChart(
            "Latency p99",
            minutes,
            [Series("v3", p99), Series("v2", [value - 12 for value in p99])],
            unit="ms",
            limits=[Limit("limit 150 ms", 150)],
            marks=[Mark(minutes[45], "canary 25 %")],
            note="one point a minute",
        ),
        "points": [(1.0, 1.4), (2.0, 1.7), (3.2, 3.0), (4.1, 4.6), (5.0, 4.4)],
        "fpr": [0, 0.05, 0.1, 0.2, 0.4, 0.7, 1],
        "tpr": [0, 0.35, 0.55, 0.75, 0.9, 0.97, 1],
        "precision": [1, 0.93, 0.88, 0.8, 0.66, 0.45, 0.3],
        "edges": [0, 10, 20, 30, 40, 50, 60, 70],
        "counts": [3, 40, 120, 80, 33, 9, 2],
        "matrix": [[812, 97], [130, 402]],
        "labels": ["no", "yes"],
        "importance": [("age", 0.21), ("income", 0.17), ("a_rather_long_feature_name", 0.08)],
        "errors": [0.02, 0.03, 0.01],
    }
