"""Whose approvals a policy asks for, and which of them are still missing. Pure.

Roles are groups, so "roles" and "groups" are counted alike: by the names of the groups that a
person was in when approving.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2i_site.core.roles import Role

People = Mapping[Hashable, Collection[str]]
# Four eyes: these two never approve, whatever a policy says.
ALWAYS_BARRED = ("requester", "trainer")
BARRED = {
    "requester": "requested it",
    "trainer": "trained the version",
    "committer": "registered the version",
    "previous_decider": "approved its previous promotion",
}


def barred_by(rules: Mapping[str, Any]) -> set[str]:
    """What somebody may have done that keeps them from approving, of BARRED."""
    return {*ALWAYS_BARRED, *(rules.get("may_not_approve") or ())}


@dataclass(frozen=True)
class Need:
    """`count` approvals by people in at least one of `groups`."""

    count: int
    groups: tuple[str, ...]

    @classmethod
    def from_rules(cls, rules: Mapping[str, Any]) -> Need:
        return cls(int(rules.get("count", 1)), (*rules.get("roles", ()), *rules.get("groups", ())))

    def fits(self, groups: Collection[str]) -> bool:
        return not set(self.groups).isdisjoint(groups)

    @property
    def who(self) -> str:
        """ "a reviewer or an approver", "somebody of risk"."""
        return " or ".join(_member(name) for name in self.groups)

    @property
    def sentence(self) -> str:
        """ "1 approval by an approver"."""
        return f"{self.count} approval{'' if self.count == 1 else 's'} by {self.who}"


@dataclass(frozen=True)
class ApprovalRules:
    """All of `needs`, each by other people; or with `any_of` one of them."""

    needs: tuple[Need, ...]
    any_of: bool = False

    @classmethod
    def from_rules(cls, rules: Mapping[str, Any] | None) -> ApprovalRules:
        """From a policy's "approvals": {count, roles}, {all_of: […]} or {any_of: […]}."""
        rules = rules or {"count": 1, "roles": [Role.APPROVER.value]}
        several = rules.get("all_of") or rules.get("any_of") or [rules]
        return cls(tuple(Need.from_rules(each) for each in several), any_of="any_of" in rules)

    @property
    def groups(self) -> tuple[str, ...]:
        """Everybody whose word counts."""
        return tuple(dict.fromkeys(name for need in self.needs for name in need.groups))

    @property
    def count(self) -> int:
        """The fewest people who can decide."""
        counts = [need.count for need in self.needs]
        return min(counts) if self.any_of else sum(counts)

    def missing(self, people: People) -> tuple[Need, ...]:
        """What `people` ({person: names of their groups}) leave open; empty when it is enough.

        Each person counts once. Where somebody fits several needs, they count where it helps.
        """
        if self.any_of:
            left = tuple(_less(need, _fitting(need, people)) for need in self.needs)
            return () if any(need.count == 0 for need in left) else left
        given = _assigned(self.needs, people)
        return tuple(
            _less(need, count)
            for need, count in zip(self.needs, given, strict=True)
            if need.count > count
        )

    def met(self, people: People) -> bool:
        return not self.missing(people)

    def words(self, needs: Sequence[Need] | None = None) -> str:
        """`needs` (all, when not given) as words: "1 approval by an approver and …"."""
        link = " or " if self.any_of else " and "
        return link.join(need.sentence for need in (self.needs if needs is None else needs))


def _fitting(need: Need, people: People) -> int:
    return sum(need.fits(groups) for groups in people.values())


def _less(need: Need, given: int) -> Need:
    return Need(max(0, need.count - given), need.groups)


def _assigned(needs: Sequence[Need], people: People) -> list[int]:
    """How many people each need gets when as many as possible are put to use.

    A maximum matching of people to places by augmenting paths (Kuhn 1955).
    """
    places = [number for number, need in enumerate(needs) for _ in range(need.count)]
    taken: dict[int, Hashable] = {}

    def seat(person: Hashable, tried: set[int]) -> bool:
        for place, number in enumerate(places):
            if place in tried or not needs[number].fits(people[person]):
                continue
            tried.add(place)
            if place not in taken or seat(taken[place], tried):
                taken[place] = person
                return True
        return False

    for person in people:
        seat(person, set())
    return [sum(places[place] == number for place in taken) for number in range(len(needs))]


def _member(name: str) -> str:
    if name not in Role.values:
        return f"somebody of {name}"
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"
