"""What the name at the end of a search line may become."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from django.db.models import Case, IntegerField, Q, Value, When

from training.models import SearchName
from training.search.grammar import KINDS, RUNS, Kind, Subject, printed_name

SUGGESTIONS = 20
#: The last name of the line, where no comparison and no quote has begun.
_LAST = re.compile(r"(?:^|[\s,])(?P<name>[^\s\"'`(),:=!<>~]*)$")
_OPEN = re.compile(r"[\"'`]")
Names = Callable[[str, str], Sequence[str]]


def known_names(kind: str, part: str) -> list[str]:
    """Names of runs that hold `part`: those that begin with it first, MLflow's own last."""
    rank = Case(
        When(Q(name__startswith="mlflow."), then=Value(2)),
        When(Q(name__istartswith=part), then=Value(0)),
        default=Value(1),
        output_field=IntegerField(),
    )
    found = SearchName.objects.filter(kind=kind, name__icontains=part)
    return list(found.order_by(rank, "name").values_list("name", flat=True)[:SUGGESTIONS])


def complete(line: str, subject: Subject = RUNS, names: Names = known_names) -> list[str]:
    """Whole lines that `line` may become, the likeliest first; none where a value is written."""
    found = _LAST.search(line)
    if found is None or len(_OPEN.findall(line)) % 2:
        return []
    typed, before = found["name"], line[: found.start("name")]
    prefix, dot, part = typed.partition(".")
    kind = KINDS.get(prefix.lower()) if dot else None
    if kind is Kind.ATTRIBUTE:
        ends = [f"{prefix}.{name}" for name in subject.names if name.startswith(part.lower())]
    elif kind is not None:
        ends = [f"{prefix}.{printed_name(name)}" for name in names(str(kind), part)]
    else:
        ends = _bare(typed, subject, names)
    return [before + end for end in ends if end != typed][:SUGGESTIONS]


def _bare(typed: str, subject: Subject, names: Names) -> list[str]:
    """Attributes and kinds that begin so, then metrics, which may be written without a kind."""
    starts = [*subject.names, "metric.", "param.", "tag."]
    ends = [each for each in starts if each.startswith(typed.lower())]
    if typed:
        ends += [f"metric.{printed_name(name)}" for name in names("metric", typed)]
    return ends
