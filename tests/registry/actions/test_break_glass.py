"""Past the gates: what it may bypass, what it never does, and how it is judged afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from e2i_site.audit.choices import FindingStatus
from e2i_site.audit.models import Finding
from e2i_site.audit.policies import may_waive
from e2i_site.core.errors import InvalidInput, Refused
from e2i_site.core.roles import Role
from e2i_site.jobs.models import Job, JobState
from e2i_site.jobs.runner import run
from e2i_site.notifications.models import InboxItem
from e2i_site.trail.models import TrailEntry
from registry.actions.break_glass import break_glass, review_break_glass
from registry.actions.request_promotion import request_promotion
from registry.choices import PromotionState, Stage
from registry.models import BreakGlass, Promotion, RegistryEntry
from registry.wanted import wanted_tags
from tests.factories.people import PASSWORD, UserFactory
from tests.factories.registry import EntryFactory, ModelFactory, PolicyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet_broker")]
REASON = "Callers get wrong answers; the fix cannot wait for the review."
RULES = {"count": 1, "roles": ["approver"]}
# A gate that nobody registered is an error, and blocks.
FAILING = {"gates": [{"id": "artifact_digest"}, {"id": "no_such_gate"}], "approvals": RULES}


@pytest.fixture
def promotion() -> Promotion:
    PolicyFactory(name="strict", stages={"staging": FAILING, "archived": FAILING})
    entry = EntryFactory(model=ModelFactory(name="churn", policy_name="strict"))
    requester = UserFactory(username="rita", roles=["requester"])
    return request_promotion(entry=entry, to_stage="staging", reason="Fix.", requester=requester)


@pytest.fixture
def admin() -> User:
    return UserFactory(username="ada", roles=["administrator"])


def go_past(promotion: Promotion, actor: User, **given: Any) -> Promotion:
    typed = {"reason": REASON, "confirmation": "churn", "password": PASSWORD, **given}
    return break_glass(promotion=promotion, actor=actor, **typed)


def judge(promotion: Promotion, reviewer: User, *, accepted: bool = True, **given: Any) -> Any:
    typed = {"reason": "I looked at the incident and agree.", "password": PASSWORD, **given}
    broken = BreakGlass.objects.get(promotion=promotion)
    return review_break_glass(broken=broken, reviewer=reviewer, accepted=accepted, **typed)


def audit() -> Finding:
    """Run the job that was asked for; gives the finding."""
    job = Job.objects.unfinished().get(kind="registry.audit_break_glass")
    run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED, job.message
    return Finding.objects.get(check_id="4.3b")


def test_it_moves_the_version_and_marks_it_for_ever(promotion: Promotion, admin: User) -> None:
    for name, role in (("alan", "approver"), ("odo", "auditor"), ("vera", "viewer")):
        UserFactory(username=name, roles=[role])
    done = go_past(promotion, admin)
    entry = RegistryEntry.objects.get(pk=promotion.entry_id)
    assert (done.state, done.past_gates) == (PromotionState.APPLIED, True)
    assert (entry.stage, entry.past_gates) == (Stage.STAGING, True)
    assert wanted_tags(entry)["e2i.past_gates"] == "true"
    broken = done.break_glass
    assert [each["gate"] for each in broken.bypassed] == ["no_such_gate"]
    assert broken.signer_name == admin.get_full_name()
    trail = TrailEntry.objects.get(event="registry.promotion.break_glass")
    assert (trail.actor_name, trail.reason) == ("ada", REASON)
    assert trail.new["signature"] == broken.signature_hash
    assert trail.new["bypassed"][0]["outcome"] == "error"
    told = set(InboxItem.objects.values_list("user__username", flat=True))
    assert told == {"alan", "odo", "rita"}


@pytest.mark.parametrize("role", [role for role in Role.values if role != Role.ADMINISTRATOR])
def test_only_administrators_do_it(role: str, promotion: Promotion) -> None:
    with pytest.raises(Refused, match="Only an administrator"):
        go_past(promotion, UserFactory(roles=[role]))
    assert not BreakGlass.objects.exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"confirmation": "chum"}, "model's name"),
        ({"reason": "Urgent."}, "at least 20 characters"),
        ({"password": "wrong"}, "not your password"),
        ({"password": ""}, "Type your password"),
    ],
)
def test_what_is_typed_must_be_right(
    given: dict[str, str], says: str, promotion: Promotion, admin: User
) -> None:
    with pytest.raises(InvalidInput, match=says):
        go_past(promotion, admin, **given)
    promotion.refresh_from_db()
    assert promotion.state == PromotionState.OPEN
    assert not BreakGlass.objects.exists()


def test_no_stage_is_skipped_and_no_unknown_bytes_go(promotion: Promotion, admin: User) -> None:
    rows = RegistryEntry.objects.filter(pk=promotion.entry_id)
    rows.update(stage=Stage.SHADOW)
    with pytest.raises(Refused, match="cannot be promoted"):
        go_past(Promotion.objects.get(pk=promotion.pk), admin)
    rows.update(stage=Stage.DEVELOPMENT, artifact_digest="")
    with pytest.raises(Refused, match="digest"):
        go_past(Promotion.objects.get(pk=promotion.pk), admin)
    assert not BreakGlass.objects.exists()


def test_it_is_no_way_to_archive_nor_to_decide_twice(promotion: Promotion, admin: User) -> None:
    archive = request_promotion(
        entry=promotion.entry, to_stage="archived", reason="Old.", requester=promotion.requester
    )
    with pytest.raises(Refused, match="emergency stop"):
        go_past(archive, admin)
    go_past(promotion, admin)
    with pytest.raises(Refused, match="nothing to decide"):
        go_past(Promotion.objects.get(pk=promotion.pk), admin)
    assert BreakGlass.objects.count() == 1


def test_its_finding_closes_when_two_others_accept(promotion: Promotion, admin: User) -> None:
    go_past(promotion, admin)
    finding = audit()
    assert "accepted by 0 of 2 others" in finding.message
    assert Finding.objects.about(promotion.entry).get() == finding, "its next promotion waits"
    assert finding.subject_url == promotion.get_absolute_url()
    assert (finding.priority, finding.status) == ("P0", FindingStatus.OPEN)
    assert not may_waive(admin, finding, timezone.now())
    first, second, third = (
        UserFactory(roles=[role]) for role in ("approver", "auditor", "auditor")
    )
    review = judge(promotion, first)
    entry = TrailEntry.objects.filter(event="registry.promotion.break_glass_reviewed").first()
    assert entry is not None
    assert (entry.actor_name, entry.new["signature"]) == (first.username, review.signature_hash)
    assert audit().status == FindingStatus.OPEN
    judge(promotion, third, accepted=False)
    assert audit().status == FindingStatus.OPEN
    judge(promotion, second)
    assert audit().status == FindingStatus.RESOLVED
    promotion.refresh_from_db()
    assert promotion.past_gates, "the mark stays"


def test_who_had_a_part_in_it_does_not_judge(promotion: Promotion, admin: User) -> None:
    trainer = UserFactory(roles=["approver"])
    RegistryEntry.objects.filter(pk=promotion.entry_id).update(trained_by=trainer)
    go_past(promotion, admin)
    promotion.requester.groups.set(admin.groups.all())
    rita = User.objects.get(pk=promotion.requester_id)
    for user, says in ((admin, "You did it"), (rita, "requested"), (trainer, "trained")):
        with pytest.raises(Refused, match=says):
            judge(promotion, user)
    for role in ("viewer", "requester", "reviewer", "deployer"):
        with pytest.raises(Refused, match="needs the role"):
            judge(promotion, UserFactory(roles=[role]))
    alan = UserFactory(roles=["approver"])
    with pytest.raises(InvalidInput, match="not your password"):
        judge(promotion, alan, password="wrong")
    judge(promotion, alan)
    with pytest.raises(Refused, match="already"):
        judge(promotion, alan)


def test_a_changed_row_opens_the_finding_again(promotion: Promotion, admin: User) -> None:
    go_past(promotion, admin)
    for _ in range(2):
        judge(promotion, UserFactory(roles=["auditor"]))
    assert audit_or_none() is None
    BreakGlass.objects.update(reason="It was a planned change.")
    judge(promotion, UserFactory(roles=["auditor"]))
    assert "do not verify" in audit().message


def audit_or_none() -> Finding | None:
    job = Job.objects.unfinished().get(kind="registry.audit_break_glass")
    run(job.pk)
    return Finding.objects.filter(check_id="4.3b").first()
