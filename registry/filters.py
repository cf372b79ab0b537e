"""Filters of the registry, shared by the pages and the API, and the words people type for them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import django_filters
from django.db.models import Q, QuerySet

from registry.choices import OPEN_PROMOTION, PromotionState, Risk, Stage
from registry.models import Promotion, RegisteredModel, RegistryEntry, ReviewAssignment
from registry.search.conditions import MODELS, narrow
from training.filters import SearchField
from training.search.grammar import Term, parse


class PromotionFilter(django_filters.FilterSet):
    """Promotions by state, model, stages, requester and text."""

    open = django_filters.BooleanFilter(method="by_open", label="Undecided or rolling out")
    state = django_filters.ChoiceFilter(choices=PromotionState.choices)
    model = django_filters.CharFilter(
        field_name="entry__model__name", lookup_expr="icontains", label="Model name contains"
    )
    version = django_filters.NumberFilter(field_name="entry__model_version", min_value=1)
    from_stage = django_filters.ChoiceFilter(choices=Stage.choices)
    to_stage = django_filters.ChoiceFilter(choices=Stage.choices)
    requester = django_filters.CharFilter(
        field_name="requester__username", lookup_expr="iexact", label="Requester's user name"
    )
    policy = django_filters.CharFilter(field_name="policy__name", label="Policy name")
    risk = django_filters.ChoiceFilter(choices=Risk.choices)
    reviewer = django_filters.CharFilter(
        method="by_reviewer", label="User or group that was asked to review"
    )
    text = django_filters.CharFilter(method="by_text", label="Text in the model name or reason")

    class Meta:
        model = Promotion
        fields: list[str] = []

    def by_open(self, queryset: QuerySet[Promotion], name: str, value: bool) -> QuerySet[Promotion]:
        wanted = Q(state__in=OPEN_PROMOTION)
        return queryset.filter(wanted if value else ~wanted)

    def by_reviewer(
        self, queryset: QuerySet[Promotion], name: str, value: str
    ) -> QuerySet[Promotion]:
        asked = ReviewAssignment.objects.filter(
            Q(person__username__iexact=value) | Q(group__iexact=value)
        )
        return queryset.filter(pk__in=asked.values("promotion"))

    def by_text(self, queryset: QuerySet[Promotion], name: str, value: str) -> QuerySet[Promotion]:
        for word in value.split():
            queryset = queryset.filter(
                Q(entry__model__name__icontains=word) | Q(reason__icontains=word)
            )
        return queryset


class ModelMenus(django_filters.FilterSet):
    """Registered models by name, experiment and the stage of any version."""

    name = django_filters.CharFilter(lookup_expr="icontains", label="Name contains")
    experiment = django_filters.CharFilter(
        field_name="experiment__experiment_id", label="Experiment"
    )
    stage = django_filters.ChoiceFilter(
        choices=Stage.choices, method="by_stage", label="Has a version in", empty_label="Any stage"
    )

    class Meta:
        model = RegisteredModel
        fields: list[str] = []

    def by_stage(
        self, queryset: QuerySet[RegisteredModel], name: str, value: str
    ) -> QuerySet[RegisteredModel]:
        return queryset.filter(
            name__in=RegistryEntry.objects.filter(stage=value).values("model_id")
        )


class ModelSearchField(SearchField):
    def read(self, line: str) -> tuple[Term, ...]:
        terms = parse(line, MODELS)
        narrow(RegisteredModel.objects.none(), terms)
        return terms


class ModelSearchFilter(django_filters.Filter):
    field_class = ModelSearchField

    def filter(self, qs: QuerySet[Any], value: Sequence[Term] | None) -> QuerySet[Any]:
        return narrow(qs, value or ())


class ModelFilter(ModelMenus):
    """As in the menus, and by a search line."""

    q = ModelSearchFilter(label="Search line, as in stage:production metric.auc>0.8 drift:yes")


class EntryFilter(django_filters.FilterSet):
    """Versions by model, stage, algorithm and experiment."""

    model = django_filters.CharFilter(field_name="model_id", label="Model name")
    version = django_filters.NumberFilter(field_name="model_version", min_value=1)
    stage = django_filters.ChoiceFilter(choices=Stage.choices)
    algorithm = django_filters.CharFilter(lookup_expr="iexact")
    experiment = django_filters.CharFilter(
        field_name="experiment__experiment_id", label="Experiment"
    )

    class Meta:
        model = RegistryEntry
        fields: list[str] = []


# Words before the colon, and the filter each one sets.
TOKENS = {
    "model": "model",
    "version": "version",
    "from": "from_stage",
    "to": "to_stage",
    "by": "requester",
    "policy": "policy",
    "risk": "risk",
    "reviewer": "reviewer",
}
IS = {
    "open": ("open", "true"),
    "decided": ("open", "false"),
    "review": ("state", PromotionState.OPEN.value),
    "rolling": ("state", PromotionState.APPROVED.value),
    **{state.value: ("state", state.value) for state in PromotionState if state != "open"},
}


@dataclass(frozen=True)
class Search:
    """A parsed search line. `errors` are sentences about what was not understood."""

    text: str
    data: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


def parse_search(line: str) -> Search:
    """Read "is:open model:churn to:production late" into filter values; see `TOKENS` and `IS`.

    Words without a colon search names and reasons. A value with blanks is quoted.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.replace('"', " ").replace("'", " ").split()
    data: dict[str, str] = {}
    free: list[str] = []
    errors: list[str] = []
    for word in words:
        key, colon, value = word.partition(":")
        if not colon:
            free.append(word)
        elif key == "is" and value in IS:
            name, wanted = IS[value]
            data[name] = wanted
        elif key == "is":
            errors.append(f"“is:{value}” is none of {', '.join(f'is:{known}' for known in IS)}.")
        elif key in TOKENS and value:
            data[TOKENS[key]] = value
        else:
            errors.append(f"“{word}” is no filter; there are is:, {_known()}.")
    if free:
        data["text"] = " ".join(free)
    return Search(line, data, tuple(errors))


def _known() -> str:
    return ", ".join(f"{key}:" for key in TOKENS)


def search_promotions(
    line: str, queryset: QuerySet[Promotion]
) -> tuple[QuerySet[Promotion], tuple[str, ...]]:
    """Promotions that fit the search line; none, with the reasons, when it is not understood."""
    search = parse_search(line)
    filters = PromotionFilter(search.data, queryset=queryset)
    errors = search.errors + tuple(_form_errors(filters, search))
    return (queryset.none() if errors else filters.qs), errors


def _form_errors(filters: Any, search: Search) -> list[str]:
    by_field = {field: token for token, field in TOKENS.items()}
    return [
        f"{by_field.get(name, name)}:{search.data.get(name, '')} — {' '.join(map(str, messages))}"
        for name, messages in filters.errors.items()
    ]
