"""The promotion machine as a model of a few lines, and what must hold of its rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from deployments.actions.finish_rollout import activate, fail_rollout
from deployments.models import Deployment
from e2i_site.core.errors import E2IError
from e2i_site.trail.models import TrailEntry
from registry.actions.refresh_gates import refresh_gates
from registry.actions.request_promotion import request_promotion
from registry.actions.restore_version import restore_version
from registry.actions.review_promotion import review_promotion
from registry.actions.withdraw_promotion import resubmit_promotion, withdraw_promotion
from registry.choices import SERVED_STAGES, UNDECIDED, StageCause
from registry.history import stages_at
from registry.models import (
    Promotion,
    PromotionPolicy,
    RegisteredModel,
    RegistryEntry,
    Review,
    StageChange,
)
from registry.policies import ways_on
from registry.replay.judge import Result
from registry.replay.run import replay
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import EntryFactory, ModelFactory, PolicyFactory
from tests.factories.training import digest

GATES = [{"id": "artifact_digest"}, {"id": "signature"}]
LIMITS = {
    "hours": 24, "requests": 1000, "error_rate": 0.01, "p99_ms": 150, "alpha": 0.05,
    "sequential": True,
}  # fmt: skip
COUNT = {"staging": 1, "shadow": 1, "production": 2, "archived": 1}
RULES: dict[str, Any] = {
    stage: {"gates": GATES, "approvals": {"count": count, "roles": ["approver"]}}
    for stage, count in COUNT.items()
}
RULES["production"]["shadow"] = LIMITS
# Where each version is when a play starts: far enough for every act to be near.
START = {1: "development", 2: "shadow", 3: "production"}
VERSIONS, STAGES = tuple(START), ("staging", "shadow", "production", "archived", "development")
# ann trained version 1; eve may only look; dan may do everything that a role gives.
ROLES = {
    "ann": ["requester", "approver"],
    "bob": ["approver"],
    "cat": ["approver", "reviewer"],
    "dan": ["administrator", "approver"],
    "eve": ["viewer"],
}
PEOPLE = tuple(ROLES)


@dataclass
class World:
    """What every play starts from: a model with three versions, and five people."""

    model: RegisteredModel
    people: dict[str, User]

    def version(self, number: int) -> RegistryEntry:
        return RegistryEntry.objects.get(model=self.model, model_version=number)


def make_world() -> World:
    people = {name: UserFactory(username=name, roles=roles) for name, roles in ROLES.items()}
    PolicyFactory(name="machine", stages=RULES)
    model = ModelFactory(policy_name="machine")
    for number in VERSIONS:
        trainer = people["ann"] if number == 1 else None
        EntryFactory(model=model, training_run=None, trained_by=trainer, stage=START[number])
    return World(model, people)


@dataclass
class Ask:
    """A promotion as the model sees it; `approvals` maps a person to what they approved."""

    version: int
    from_stage: str
    to: str
    requester: str
    state: str = "open"
    digest: str = ""
    approvals: dict[str, Any] = field(default_factory=dict)

    @property
    def undecided(self) -> bool:
        return self.state in UNDECIDED

    @property
    def open(self) -> bool:
        return self.undecided or self.state == "approved"


class Machine(RuleBasedStateMachine):
    """Each rule predicts whether the action goes through, and what is so afterwards."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self._undone = transaction.atomic()
        self._undone.__enter__()
        self.stages = dict(START)
        self.bytes = dict.fromkeys(VERSIONS, "first")
        self.asks: dict[int, Ask] = {}
        self.set_bytes(*VERSIONS)

    def teardown(self) -> None:
        found = replay(PromotionPolicy.objects.get(name="machine"))
        assert found.total == found.counts[Result.SAME], "its own policy decides as it did"
        transaction.set_rollback(True)
        self._undone.__exit__(None, None, None)

    @rule(
        number=st.sampled_from(VERSIONS), to=st.sampled_from(["next", "next", *STAGES]),
        who=st.sampled_from(PEOPLE),
    )  # fmt: skip
    def request(self, number: int, to: str, who: str) -> None:
        if to == "next":
            to = next(iter(ways_on(self.stages[number])), "staging")
        expected = (
            who != "eve"
            and self.follows(number, to)
            and not (to == "shadow" and self.holder("shadow") not in (None, number))
            and not any(a.open and (a.version, a.to) == (number, to) for a in self.asks.values())
        )
        made = self.attempt(
            expected, request_promotion, entry=self.world.version(number), to_stage=to,
            reason="why not", requester=self.world.people[who],
        )  # fmt: skip
        if made:
            self.asks[made.pk] = Ask(number, self.stages[number], to, who)

    @precondition(lambda self: self.asks)
    @rule(
        data=st.data(), who=st.sampled_from(PEOPLE), stale=st.booleans(),
        decision=st.sampled_from(["approve", "approve", "approve", "reject", "request_changes"]),
    )  # fmt: skip
    def review(self, data: st.DataObject, who: str, decision: str, stale: bool) -> None:
        pk, ask = self.choose(data)
        may = ask.undecided and "approver" in ROLES[who] and who != ask.requester
        now = self.binding(ask)
        if may:  # The evidence is looked at again, whatever comes of the decision.
            refresh_gates(promotion=Promotion.objects.get(pk=pk))
            ask.approvals = {name: seen for name, seen in ask.approvals.items() if seen == now}
        if decision == "approve":
            trained = ask.version == 1 and who == "ann"
            may = may and ask.state == "open" and not trained and who not in ask.approvals
        promotion = Promotion.objects.get(pk=pk)
        done = self.attempt(
            may and not stale, review_promotion, promotion=promotion, decision=decision,
            reviewer=self.world.people[who], reason="I looked.", password=PASSWORD,
            revision=promotion.revision - stale,
        )  # fmt: skip
        if not done:
            return
        if decision == "reject":
            ask.state = "rejected"
        elif decision == "request_changes":
            ask.state = "changes_requested"
        else:
            ask.approvals[who] = now
            if len(ask.approvals) >= COUNT[ask.to]:
                ask.state, ask.digest = "approved", self.bytes[ask.version]
                if ask.to not in SERVED_STAGES:
                    self.take_effect(ask)

    @precondition(lambda self: self.asks)
    @rule(data=st.data(), who=st.sampled_from(PEOPLE))
    def withdraw(self, data: st.DataObject, who: str) -> None:
        pk, ask = self.choose(data)
        expected = ask.undecided and who in (ask.requester, "dan")
        if self.attempt(
            expected, withdraw_promotion, promotion=Promotion.objects.get(pk=pk),
            actor=self.world.people[who], reason="a mistake",
        ):  # fmt: skip
            ask.state = "withdrawn"

    @precondition(lambda self: self.asks)
    @rule(data=st.data(), who=st.sampled_from(PEOPLE))
    def resubmit(self, data: st.DataObject, who: str) -> None:
        pk, ask = self.choose(data)
        expected = ask.state == "changes_requested" and who == ask.requester
        if self.attempt(
            expected, resubmit_promotion, promotion=Promotion.objects.get(pk=pk),
            actor=self.world.people[who], reason="done",
        ):  # fmt: skip
            ask.state = "open"

    @precondition(lambda self: any(ask.state == "approved" for ask in self.asks.values()))
    @rule(data=st.data(), healthy=st.booleans())
    def roll_out(self, data: st.DataObject, healthy: bool) -> None:
        approved = [pk for pk, ask in self.asks.items() if ask.state == "approved"]
        pk = data.draw(st.sampled_from(approved))
        ask, deployment = self.asks[pk], Deployment.objects.get(promotion=pk)
        if not healthy:
            fail_rollout(deployment=deployment, actor=None, reason="It does not answer.")
            ask.state = "failed"
            return
        expected = ask.digest == self.bytes[ask.version] and not (
            ask.to == "shadow" and self.holder("shadow") not in (None, ask.version)
        )
        if self.attempt(
            expected, activate, deployment=deployment, actor=None, health="It answers."
        ):
            self.take_effect(ask)

    @rule(number=st.sampled_from(VERSIONS))
    def roll_back(self, number: int) -> None:
        present = self.holder("production")
        if present is None:
            return
        expected = self.stages[number] == "archived"
        if self.attempt(
            expected, restore_version, entry=self.world.version(number),
            replaced=self.world.version(present), actor=self.world.people["dan"], reason="errors",
        ):  # fmt: skip
            self.move(present, "archived")
            self.move(number, "production")

    @rule(number=st.sampled_from(VERSIONS))
    def change_bytes(self, number: int) -> None:
        """Somebody replaces the files, or puts the first ones back."""
        self.bytes[number] = "second" if self.bytes[number] == "first" else "first"
        self.set_bytes(number)

    @invariant()
    def stages_and_states_are_those_of_the_model(self) -> None:
        entries = RegistryEntry.objects.filter(model=self.world.model)
        assert dict(entries.values_list("model_version", "stage")) == self.stages
        states = dict(Promotion.objects.values_list("pk", "state"))
        assert states == {pk: ask.state for pk, ask in self.asks.items()}

    @invariant()
    def the_record_is_sound(self) -> None:
        check_record(self.world)

    def attempt(self, expected: bool, action: Any, **arguments: Any) -> Any:
        """The action's result; None when it was refused, which is checked to be as expected."""
        try:
            with transaction.atomic():
                result = action(**arguments)
        except E2IError as error:
            assert not expected, f"{action.__name__} was refused: {error}"
            return None
        assert expected, f"{action.__name__} went through with {arguments}"
        return result

    def choose(self, data: st.DataObject) -> tuple[int, Ask]:
        pk = data.draw(st.sampled_from(sorted(self.asks)))
        return pk, self.asks[pk]

    def follows(self, number: int, to: str) -> bool:
        return to in ways_on(self.stages[number])

    def holder(self, stage: str) -> int | None:
        return next((number for number in VERSIONS if self.stages[number] == stage), None)

    def binding(self, ask: Ask) -> Any:
        present = self.holder("production")
        return self.bytes[ask.version], None if present == ask.version else present

    def take_effect(self, ask: Ask) -> None:
        present = self.holder("production")
        if ask.to == "production" and present is not None:
            self.move(present, "archived")
        ask.state = "applied"
        self.move(ask.version, ask.to)

    def move(self, number: int, stage: str) -> None:
        self.stages[number] = stage
        for ask in self.asks.values():
            if ask.version == number and ask.open:
                ask.state = "superseded"

    def set_bytes(self, *numbers: int) -> None:
        for number in numbers:
            entries = RegistryEntry.objects.filter(model=self.world.model, model_version=number)
            entries.update(artifact_digest=digest(f"{number} {self.bytes[number]}"))


def check_record(world: World) -> None:
    """What must hold of the rows alone, however they came about."""
    stages = Counter(world.model.entries.values_list("stage", flat=True))
    assert stages["production"] <= 1
    assert stages["shadow"] <= 1
    trail = Counter(TrailEntry.objects.values_list("event", "subject_id"))
    approvals: dict[int, set[int]] = {}
    voided: dict[int, set[int]] = {}
    reviews = Counter[int]()
    for review in Review.objects.select_related("promotion__entry"):
        reviews[review.promotion_id] += 1
        if review.decision != "approve":
            continue
        assert review.reviewer_id != review.promotion.requester_id, "a self-approval"
        assert review.reviewer_id != review.promotion.entry.trained_by_id, "the trainer approved"
        if not review.void_reason and review.binding_hash == review.promotion.binding_hash:
            approvals.setdefault(review.promotion_id, set()).add(review.reviewer_id)
        else:
            voided.setdefault(review.promotion_id, set()).add(review.reviewer_id)
    for promotion in Promotion.objects.all():
        told = str(promotion.pk)
        assert trail["registry.promotion.requested", told] == 1
        assert trail["registry.promotion.reviewed", told] == reviews[promotion.pk]
        if promotion.state not in ("open", "changes_requested", "approved"):
            assert trail[f"registry.promotion.{promotion.state}", told] == 1
        if promotion.state in ("approved", "applied", "failed"):
            assert trail["registry.promotion.approved", told] == 1
            held = approvals.get(promotion.pk, set())
            if promotion.state == "failed" and not held:
                # It failed because what was approved had changed; that took the approvals back.
                assert trail["registry.promotion.approvals_voided", told] >= 1
                held = voided.get(promotion.pk, set())
            assert len(held) >= COUNT[promotion.to_stage]
    numbers = world.model.entries.values_list("pk", "model_version")
    where = {pk: START[number] for pk, number in numbers}
    for change in StageChange.objects.exclude(from_stage="").order_by("id"):
        assert where[change.entry_id] == change.from_stage, "a stage that does not follow"
        where[change.entry_id] = change.to_stage
        restored = change.cause == StageCause.ROLLBACK and change.from_stage == "archived"
        assert restored or change.to_stage in ways_on(change.from_stage)
        asked_back = change.cause == StageCause.RESTORE
        assert asked_back == ((change.from_stage, change.to_stage) == ("archived", "staging"))
    assert where == dict(world.model.entries.values_list("pk", "stage"))
    for place in stages_at(timezone.now(), world.model.name).places:
        assert place.stage == where[place.entry.pk], "history and row disagree"
