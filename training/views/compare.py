"""Up to ten runs side by side."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_safe

from e2i_site.core.partials import render_page
from training.comparison import MOST_RUNS, compare
from training.models import TrainingRun
from training.views.parallel import parallel


@login_required
@require_safe
def compare_runs(request: HttpRequest) -> HttpResponse:
    """?runs=1,2,3 (or runs=1&runs=2) beside ?baseline=1; ?all=1 shows equal rows too."""
    wanted = _numbers(request.GET)
    runs = _in_order(wanted[:MOST_RUNS])
    missing = [number for number in wanted[:MOST_RUNS] if number not in {run.pk for run in runs}]
    baseline = next((r for r in runs if str(r.pk) == request.GET.get("baseline")), None)
    comparison = compare(runs, baseline or runs[0]) if len(runs) > 1 else None
    show_all = request.GET.get("all") == "1"
    context = {
        "runs": runs,
        "comparison": comparison,
        "groups": comparison.groups if comparison else [],
        "parallel": parallel(comparison) if comparison else None,
        "missing": missing,
        "too_many": len(wanted) - MOST_RUNS if len(wanted) > MOST_RUNS else 0,
        "most": MOST_RUNS,
        "show_all": show_all,
        "ids": ",".join(str(run.pk) for run in runs),
    }
    return render_page(request, "training/compare.html", context)


def _numbers(query: QueryDict) -> list[int]:
    texts = [text for part in query.getlist("runs") for text in part.split(",")]
    found = [int(text) for text in map(str.strip, texts) if text.isdecimal() and len(text) < 19]
    return list(dict.fromkeys(found))


def _in_order(numbers: list[int]) -> list[TrainingRun]:
    """The runs that exist, in the order of the URL; one query."""
    rows = TrainingRun.objects.select_related("experiment", "dataset", "split").in_bulk(numbers)
    return [rows[number] for number in numbers if number in rows]
