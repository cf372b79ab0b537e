from __future__ import annotations

import pytest

from e2i_site.audit import plan, registry
from e2i_site.audit.choices import Outcome, Priority, worst
from e2i_site.audit.registry import check, select, sort_key


def _nothing(context):
    return ()


@pytest.mark.parametrize("id", ["2", "2.0", "a.1", "2.1a", "2.1bb", "2,1", "0.1", ""])
def test_a_malformed_id_is_refused(only_checks, id):
    with pytest.raises(ValueError, match="does not belong"):
        check(id, phase=2, title="t", remediation="r", priority=Priority.P1)


def test_an_id_of_another_phase_is_refused(only_checks):
    with pytest.raises(ValueError, match="does not belong to phase 3"):
        check("2.1", phase=3, title="t", remediation="r", priority=Priority.P1)


def test_an_id_is_taken_once(only_checks):
    only_checks("2.1", _nothing)
    with pytest.raises(ValueError, match="already registered"):
        only_checks("2.1", lambda context: ())


def test_checks_come_in_the_order_of_the_plan(only_checks):
    for id in ("2.10", "2.2b", "1.1", "2.9", "2.2"):
        only_checks(id, _nothing)
    assert [each.id for each in registry.all_checks()] == ["1.1", "2.2", "2.2b", "2.9", "2.10"]
    assert sort_key("gone") > sort_key("9.9z")


def test_selecting_by_phase_item_and_id(only_checks):
    for id in ("1.1", "2.1", "2.2", "2.2b"):
        only_checks(id, _nothing)
    ids = lambda **kwargs: [each.id for each in select(**kwargs)]  # noqa: E731
    assert ids(phase=2) == ["2.1", "2.2", "2.2b"]
    assert ids(check_id="2.2") == ["2.2", "2.2b"]
    assert ids(check_id="2.2b") == ["2.2b"]
    assert ids(check_id="7.7") == ids(phase=9) == []


def test_every_check_belongs_to_an_item_of_the_plan():
    items = {item.id for phase in plan.PHASES for item in phase.items}
    strangers = [each.id for each in registry.all_checks() if each.item not in items]
    assert strangers == []


def test_no_check_claims_an_item_of_the_test_suite():
    by_tests = {item.id for phase in plan.PHASES for item in phase.items if item.by_tests}
    assert not by_tests & {each.item for each in registry.all_checks()}


def test_a_group_is_as_good_as_its_worst_member():
    assert worst([]) is Outcome.NOT_APPLICABLE
    assert worst(["pass", "not_applicable"]) is Outcome.PASS
    assert worst(["pass", "inconclusive"]) is Outcome.INCONCLUSIVE
    assert worst(["error", "inconclusive"]) is Outcome.ERROR
    assert worst(["error", "fail", "pass"]) is Outcome.FAIL
