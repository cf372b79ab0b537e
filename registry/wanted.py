"""What MLflow's aliases and tags should be by what was decided here."""

from __future__ import annotations

from registry.choices import ALIASED_STAGES, PromotionState, Stage
from registry.models import Promotion, RegisteredModel, RegistryEntry, StageChange

STAGE_TAG = "e2i.stage"
PAST_GATES_TAG = "e2i.past_gates"
PROMOTION_TAG = "e2i.promotion_id"
# Where the team uses this alias, it follows the version in production; the tag remembers that.
CHAMPION = "champion"
CHAMPION_TAG = "e2i.champion"


def wanted_aliases(model_name: str) -> dict[str, str | None]:
    """{alias: version} for every stage this model has ever had here; None when it is empty now.

    Aliases of stages that E2I never used for the model belong to others and stay untouched.
    """
    used = set(
        StageChange.objects.filter(
            entry__model__name=model_name, to_stage__in=ALIASED_STAGES
        ).values_list("to_stage", flat=True)
    )
    # Staging may hold several versions; the alias shows the newest.
    entries = RegistryEntry.objects.filter(model__name=model_name, stage__in=used)
    present = {entry.stage: str(entry.model_version) for entry in entries.order_by("model_version")}
    wanted = {stage: present.get(stage) for stage in sorted(used)}
    if Stage.PRODUCTION in used:
        model = RegisteredModel.objects.get(name=model_name)
        if CHAMPION in model.aliases or CHAMPION_TAG in model.tags:
            wanted[CHAMPION] = present.get(Stage.PRODUCTION)
    return wanted


def wanted_tags(entry: RegistryEntry) -> dict[str, str]:
    """The tags that MLflow's version should carry; none for one that E2I never moved."""
    if not entry.stage_changes.exclude(from_stage="").exists():
        return {}
    tags = {STAGE_TAG: entry.stage}
    if entry.past_gates:
        tags[PAST_GATES_TAG] = "true"
    last = (
        Promotion.objects.filter(entry=entry, state=PromotionState.APPLIED)
        .order_by("-applied_at")
        .first()
    )
    if last is not None:
        tags[PROMOTION_TAG] = str(last.pk)
    return tags
