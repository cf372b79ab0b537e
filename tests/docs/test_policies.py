"""docs/policies.md is what the code that reads policies says."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from registry.document.read import read
from registry.document.reference import EXAMPLE
from registry.document.schema import DOCUMENT_KEYS, SHADOW, STAGE_KEYS
from registry.gates.base import all_gates
from tests.architecture.source import ROOT

pytestmark = pytest.mark.once


def test_the_page_is_up_to_date() -> None:
    printed = StringIO()
    call_command("policy_reference", stdout=printed)
    page = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    assert page == printed.getvalue(), "manage.py policy_reference > docs/policies.md"


def test_its_example_is_a_policy_with_every_key() -> None:
    document = read(EXAMPLE).data
    rules = document["stages"]["production"]
    assert set(document) == set(DOCUMENT_KEYS)
    assert set(rules) == set(STAGE_KEYS)
    assert set(rules["shadow"]) == set(SHADOW)


@pytest.mark.parametrize("gate", all_gates(), ids=lambda gate: gate.gate_id)
def test_each_gate_says_what_it_reads_and_when_it_blocks(gate: object) -> None:
    said = gate.evidence.lower()  # type: ignore[attr-defined]
    assert said.startswith("reads ")
    assert "fails" in said and "inconclusive" in said
