"""A document that somebody writes: what is wrong with it, and what it would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from registry.binding import judges_otherwise
from registry.choices import OPEN_PROMOTION
from registry.document.diff import Line, line_diff
from registry.document.read import Document, DocumentInvalid, Placed, read
from registry.document.write import source_of
from registry.governing import Governing, governing_every_model
from registry.models import Promotion, PromotionPolicy
from registry.replay.run import proposed_policy
from registry.views.policy_words import StageRules, changes_in_words, rules_in_words


@dataclass(frozen=True)
class Wrong:
    """A problem, and the line in which it stands."""

    problem: Placed
    text: str


@dataclass(frozen=True)
class Reach:
    """Models that would come under the policy, and that would leave it."""

    gained: Sequence[str]
    lost: Sequence[str]


@dataclass
class Draft:
    """A document as it is typed. `opened` is the newest version when the page was opened."""

    source: str
    opened: str = ""

    @cached_property
    def _read(self) -> tuple[Document | None, list[Placed]]:
        try:
            return read(self.source), []
        except DocumentInvalid as error:
            return None, error.problems

    @property
    def document(self) -> Document | None:
        return self._read[0]

    @property
    def wrong(self) -> list[Wrong]:
        """Every problem, in the order of the text."""
        lines = self.source.replace("\r\n", "\n").split("\n")
        return [
            Wrong(each, lines[each.line - 1].strip() if each.line <= len(lines) else "")
            for each in self._read[1]
        ]

    @cached_property
    def newest(self) -> PromotionPolicy | None:
        """What is in force under the document's name."""
        if self.document is None:
            return None
        versions = PromotionPolicy.objects.select_related("published_by")
        return versions.filter(name=self.document.name).order_by("-version").first()

    @cached_property
    def proposed(self) -> PromotionPolicy | None:
        """The version that it would be."""
        if self.document is None:
            return None
        policy = proposed_policy(self.document)
        policy.version = self.seen + 1
        return policy

    @property
    def seen(self) -> int:
        """The version that the difference on the page is to; 0 for a new policy."""
        return self.newest.version if self.newest else 0

    @property
    def says_nothing_new(self) -> bool:
        return bool(self.newest and self.document and self.newest.content == self.document.content)

    @property
    def difference(self) -> list[Line]:
        """Against what is in force."""
        return line_diff(source_of(self.newest), self.source) if self.newest else []

    @property
    def rule_changes(self) -> list[tuple[str, str, str]]:
        """(place, in force, then) of every rule that is not the same."""
        if self.newest is None or self.proposed is None:
            return []
        return changes_in_words(self.newest, self.proposed)

    @property
    def stages(self) -> list[StageRules]:
        return list(rules_in_words(self.proposed)) if self.proposed else []

    @cached_property
    def overtaken(self) -> PromotionPolicy | None:
        """The version that `newest` replaced after the page was opened; None when none did."""
        name, _, number = self.opened.rpartition(" v")
        if self.newest is None or self.newest.name != name or not number.isdecimal():
            return None
        if int(number[:9]) >= self.newest.version:
            return None
        return PromotionPolicy.objects.filter(name=name, version=int(number[:9])).first()

    @property
    def meanwhile(self) -> list[Line]:
        """What somebody else published since the page was opened."""
        if self.overtaken is None or self.newest is None:
            return []
        return line_diff(source_of(self.overtaken), source_of(self.newest))

    @cached_property
    def touched(self) -> list[Promotion]:
        """Promotions under way that it would judge otherwise: their approvals become void."""
        if self.proposed is None or self.newest is None:
            return []
        under_way = Promotion.objects.filter(
            policy__name=self.proposed.name, state__in=OPEN_PROMOTION
        )
        found = under_way.select_related("entry", "policy").order_by("-pk")
        return [each for each in found if judges_otherwise(self.proposed, each)]

    @cached_property
    def reach(self) -> Reach | None:
        """Which models would change hands; None where its patterns are those in force."""
        proposed, newest = self.proposed, self.newest
        if proposed is None or (newest and newest.model_patterns == proposed.model_patterns):
            return None
        before, after = governing_every_model(), governing_every_model(proposed)
        mine = proposed.name
        return Reach(
            [name for name in after if _comes(mine, before[name], after[name])],
            [name for name in after if _comes(mine, after[name], before[name])],
        )


def _comes(name: str, before: Governing, after: Governing) -> bool:
    return after.name == name and before.name != name
