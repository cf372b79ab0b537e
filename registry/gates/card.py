"""Gates on what is on record about a version: its model card and its data set."""

from __future__ import annotations

from typing import Any

from registry.gates.base import GateContext, Measurement, failed, gate, inconclusive, passed
from registry.gates.parameters import Kind, Parameter
from registry.models import ModelCard

REQUIRED_FIELDS = ("description", "intended_use", "limitations", "owner")


@gate(
    "model_card",
    title="Model card",
    parameters={
        "fields": Parameter(
            Kind.TEXTS,
            "Fields that have to be filled in",
            default=list(REQUIRED_FIELDS),
            choices=ModelCard.FIELDS,
        )
    },
)
def model_card(context: GateContext) -> Measurement:
    """The model card says what the version is for, where its limits are and who answers for it.

    Reads the version's model card. Fails when a field is empty; inconclusive without a card.
    """
    wanted = list(context.parameter("fields"))
    if unknown := sorted(set(wanted) - set(ModelCard.FIELDS)):
        raise ValueError(f"A model card has no field {', '.join(unknown)}")
    card = ModelCard.objects.filter(entry=context.entry).first()
    if card is None:
        return inconclusive("Nobody has written a model card for this version.")
    content = card.content
    empty = [name.replace("_", " ") for name in wanted if name not in content]
    details: dict[str, Any] = {
        "measured": f"{len(wanted) - len(empty)} of {len(wanted)} fields",
        "limit": f"{len(wanted)} fields",
        "evidence": content,
    }
    if empty:
        return failed(f"Not filled in: {', '.join(empty)}.", **details)
    return passed("Every required field is filled in.", **details)


@gate(
    "dataset",
    title="Data set",
    parameters={"name": Parameter(Kind.TEXT, "Trained on the data set", default=None)},
)
def dataset(context: GateContext) -> Measurement:
    """Trained on the data set that the policy names, else on the champion's, by digest.

    Reads the digests of the data sets of both. Fails when they differ; inconclusive when one is not
    recorded. Passes where there is neither a name nor a champion.
    """
    mine = context.entry.training_run.dataset if context.entry.training_run else None
    if mine is None:
        return inconclusive("The data set of this version was not recorded.")
    name = context.parameter("name")
    evidence = {"dataset": mine.name, "digest": mine.digest}
    details: dict[str, Any] = {"measured": f"{mine.name} {mine.digest[:12]}", "evidence": evidence}
    if name is not None:
        return _named(str(name), mine.name, details)
    champion = context.champion
    if champion is None:
        return passed("There is no champion whose data set it would have to be.", **details)
    theirs = champion.training_run.dataset if champion.training_run else None
    if theirs is None:
        return inconclusive(f"The data set of {champion} was not recorded.", **details)
    evidence |= {"champion": str(champion), "champion_digest": theirs.digest}
    details["limit"] = f"{theirs.name} {theirs.digest[:12]}"
    if theirs.digest != mine.digest:
        return failed(f"{champion} was trained on other data.", **details)
    return passed(f"The same data as {champion}, by digest.", **details)


def _named(wanted: str, found: str, details: dict[str, Any]) -> Measurement:
    """Names are bound to digests: other bytes under a name are another data set."""
    from training.models import Dataset

    known = {row.digest for row in Dataset.objects.filter(name=wanted)}
    details["limit"] = wanted
    if not known:
        return inconclusive(f"No data set is called {wanted!r}.", **details)
    if details["evidence"]["digest"] not in known:
        return failed(f"Trained on {found}, not on {wanted}.", **details)
    return passed(f"Trained on {wanted}, by digest.", **details)
