"""Is every policy the one that somebody published, word for word?"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome, check
from e2i_site.trail.models import TrailEntry
from registry import trail_events
from registry.gates.evaluate import content_hash
from registry.governing import FALLBACK
from registry.models import PromotionPolicy

# They publish the default policy without anybody's signature.
_MIGRATIONS = (
    "registry.migrations.0002_policies",
    "registry.migrations.0005_stricter_default_policy",
)


@check(
    "5.3d",
    phase=5,
    title="Every policy is what was published, and the signature on its publication verifies",
    remediation="The row was changed or added behind E2I's actions, past the database's triggers. "
    "The trail says what was published: find who wrote to the database, publish the right rules "
    "as a new version, and have what was promoted under the wrong ones reviewed again.",
    priority=Priority.P0,
)
def policies_are_as_published(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Each version equals its entry in the trail, and the entry's signed statement is whole."""
    published = TrailEntry.objects.filter(event=trail_events.POLICY_PUBLISHED)
    entries = {entry.subject_id: entry for entry in published.iterator(500)}
    for policy in PromotionPolicy.objects.order_by("name", "version"):
        entry = entries.get(str(policy.pk))
        if entry is None and _came_with_e2i(policy):
            yield context.passed(policy, "It came with E2I.")
        elif entry is None:
            yield context.failed(policy, "The trail has no entry of its publication.")
        elif problems := list(_problems(policy, entry)):
            yield context.failed(policy, " ".join(problems), evidence={"entry": entry.pk})
        else:
            signed = "signed" if "signature" in entry.new else "by command"
            yield context.passed(policy, f"Published by {entry.actor_name}, {signed}.")


def _came_with_e2i(policy: PromotionPolicy) -> bool:
    if policy.name != FALLBACK or policy.published_by_id is not None or policy.model_patterns:
        return False
    return any(policy.stages == import_module(name).STAGES for name in _MIGRATIONS)


def _problems(policy: PromotionPolicy, entry: TrailEntry) -> Iterator[str]:
    new = entry.new
    differing = [name for name, value in policy.content.items() if new.get(name) != value]
    if differing:
        yield f"It differs from what was published in: {', '.join(differing)}."
    if content_hash(policy.source) != new.get("source_sha256"):
        yield "Its document is not the one that was published."
    if entry.actor_id != policy.published_by_id:
        yield f"{entry.actor_name} published it, not who the row names."
    if "signature" in new:
        yield from _unsigned(policy, new)


def _unsigned(policy: PromotionPolicy, new: dict[str, Any]) -> Iterator[str]:
    said = new.get("statement", {})
    if content_hash(said) != new["signature"]:
        yield "The signed statement was changed."
    wanted = (policy.name, policy.version, new.get("source_sha256"), policy.published_by_id)
    if tuple(said.get(key) for key in ("policy", "version", "source_sha256", "signer")) != wanted:
        yield "The signed statement is about something else."
