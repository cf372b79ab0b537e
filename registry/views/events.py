"""What happened to a promotion or a version, as entries of a time line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from e2i_site.core.moments import in_address
from e2i_site.core.statuses import look
from e2i_site.trail.events import label
from e2i_site.trail.models import TrailEntry
from registry.choices import StageCause
from registry.mentions import linked
from registry.models import Promotion, Review, StageChange


@dataclass(frozen=True)
class Event:
    """One entry of a time line, in the form that the `timeline` component takes."""

    at: datetime
    title: str
    actor: str = ""
    text: str = ""
    icon: str = ""
    tone: str = ""
    href: str = ""
    # (label, address) of what else it leads to.
    links: tuple[tuple[str, str], ...] = ()


def discussion(promotion: Promotion, reviews: Iterable[Review]) -> list[Event]:
    """The request and everything said about it, oldest first."""
    asked = Event(
        promotion.created_at,
        f"asked to move {promotion.entry} to {promotion.to_stage}",
        promotion.requester.get_username(),
        promotion.reason,
        "git-pull-request",
        "info",
    )
    return [asked, *(_review(review) for review in reviews)]


def _review(review: Review) -> Event:
    seen = look(review.decision)
    words = {"comment": "commented"}.get(review.decision, seen.label.lower())
    title = f"{words} on revision {review.revision}"
    tone = seen.tone
    if review.void_reason:
        title, tone = f"{title}; it counts no more: {review.void_reason}", "quiet"
    actor = review.reviewer.get_username()
    text = linked(review.reason, review.mentions)
    return Event(review.created_at, title, actor, text, seen.icon, tone)


_TRAIL_LOOKS = {
    "requested": "open",
    "reviewed": "comment",
    "approved": "approved",
    "rejected": "rejected",
    "withdrawn": "withdrawn",
    "superseded": "superseded",
    "expired": "expired",
    "reminded": "waiting",
    "applied": "applied",
    "failed": "failed",
    "approvals_voided": "interrupted",
}


def trail_events(entries: Iterable[TrailEntry]) -> list[Event]:
    """Entries of the trail, newest first, each with its permalink."""
    return [_trail(entry) for entry in sorted(entries, key=lambda entry: -entry.pk)]


def _trail(entry: TrailEntry) -> Event:
    seen = look(_TRAIL_LOOKS.get(entry.event.rpartition(".")[2], ""))
    words = label(entry.event)
    if decision := entry.new.get("decision"):
        words = f"{words}: {look(decision).label.lower()}"
    return Event(
        entry.at,
        words[:1].lower() + words[1:],
        entry.actor_name,
        entry.reason,
        seen.icon,
        seen.tone,
        trail_url(entry),
    )


def trail_url(entry: TrailEntry) -> str:
    """The permalink of an entry."""
    return reverse("trail:entry", args=[entry.pk])


def stage_events(
    changes: Iterable[StageChange],
    *,
    with_version: bool,
    trail: Mapping[int, TrailEntry] | None = None,
) -> list[Event]:
    """Stage changes, newest first, each leading to its model as it was from that moment on.

    `trail` are the entries written with them, by change.
    """
    return [_stage(change, with_version, (trail or {}).get(change.pk)) for change in changes]


def _stage(change: StageChange, with_version: bool, entry: TrailEntry | None) -> Event:
    seen = look(change.to_stage)
    which = f"v{change.entry.model_version}: " if with_version else ""
    came = f"{change.get_from_stage_display()} → " if change.from_stage else ""
    cause = StageCause(change.cause).label.lower()
    links = []
    if change.promotion_id:
        links.append(("Promotion", reverse("registry:promotion", args=[change.promotion_id])))
    if entry is not None:
        links.append(("Trail", trail_url(entry)))
    return Event(
        change.at,
        f"{which}{came}{change.get_to_stage_display()} ({cause})",
        change.actor.get_username() if change.actor else "",
        change.reason,
        seen.icon,
        seen.tone,
        url_at(change.entry.model_id, change.at),
        tuple(links),
    )


def url_at(model: str, moment: datetime) -> str:
    """The model's page as it was at `moment`."""
    return f"{reverse('registry:model', args=[model])}?at={in_address(moment)}"
