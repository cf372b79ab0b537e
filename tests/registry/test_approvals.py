"""Whose approvals are still missing."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from registry.approvals import ApprovalRules, Need

GROUPS = ("approver", "reviewer", "risk")
groups = st.lists(st.sampled_from(GROUPS), max_size=2, unique=True)
needs = st.lists(
    st.builds(
        Need,
        st.integers(1, 2),
        st.lists(st.sampled_from(GROUPS), min_size=1, unique=True).map(tuple),
    ),
    min_size=1,
    max_size=3,
)
people = st.lists(groups, max_size=5).map(lambda each: dict(enumerate(each)))


def seats(rules: ApprovalRules, people: dict[int, list[str]]) -> bool:
    """The slow truth: some order of the people fills all places one after the other."""
    places = [need for need in rules.needs for _ in range(need.count)]
    return len(people) >= len(places) and any(
        all(need.fits(people[person]) for need, person in zip(places, order, strict=True))
        for order in permutations(people, len(places))
    )


@given(needs, people)
def test_all_of_is_met_when_different_people_fill_every_place(
    needs: list[Need], people: dict[int, list[str]]
) -> None:
    rules = ApprovalRules(tuple(needs))
    assert rules.met(people) == seats(rules, people)


@given(needs, people)
def test_any_of_is_met_when_one_of_them_is(needs: list[Need], people: dict[int, list[str]]) -> None:
    rules = ApprovalRules(tuple(needs), any_of=True)
    assert rules.met(people) == any(seats(ApprovalRules((need,)), people) for need in needs)


@given(needs, people)
def test_what_is_missing_is_enough(needs: list[Need], people: dict[int, list[str]]) -> None:
    rules = ApprovalRules(tuple(needs))
    newcomers = {
        ("new", place, number): need.groups[:1]
        for place, need in enumerate(rules.missing(people))
        for number in range(need.count)
    }
    assert rules.met({**people, **newcomers})


def test_a_plain_rule_reads_as_before() -> None:
    rules = ApprovalRules.from_rules({"count": 2, "roles": ["reviewer", "approver"]})
    assert rules.words() == "2 approvals by a reviewer or an approver"
    assert rules.words(rules.missing({1: ["reviewer"]})) == (
        "1 approval by a reviewer or an approver"
    )


def test_one_person_does_not_fill_two_places() -> None:
    rules = ApprovalRules.from_rules(
        {"all_of": [{"count": 1, "roles": ["approver"]}, {"count": 1, "groups": ["risk"]}]}
    )
    both = {1: ["approver", "risk"]}
    assert not rules.met(both)
    assert rules.words(rules.missing({1: ["approver"]})) == "1 approval by somebody of risk"
    assert rules.met({**both, 2: ["approver"]})


def test_without_rules_one_approver_decides() -> None:
    assert ApprovalRules.from_rules(None).needs == (Need(1, ("approver",)),)
