"""Documents as text: what is wrong is said with its place, and nothing odd gets in."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from hypothesis import HealthCheck, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from registry.document.read import LARGEST, DocumentInvalid, read
from registry.document.schema import problems
from registry.document.write import written

HEAD = "name: strict\nstages:\n  staging:\n    approvals: {count: 1, roles: [approver]}\n"


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", (1, 1), "empty"),
        ("name: [", (1, 8), "Not YAML"),
        ("- a", (1, 1), "A policy has keys"),
        (HEAD + "    gates: [{id: odd}]\n", (5, 14), "No gate is called 'odd'"),
        (HEAD + "    expires_after_days: soon\n", (5, 5), "a number"),
        (HEAD + "name: other\n", (5, 1), "twice, first in line 1"),
        (HEAD + "    freeze: &a []\n", (5, 13), "anchors"),
        (HEAD + "notice: !!python/name:os.system x\n", (5, 9), "Tags are not read"),
        (HEAD + 'notice: "a\\0b"\n', (5, 9), "cannot be stored"),
        (HEAD + "notice: a\x07b\n", (5, 10), "not allowed"),
        (HEAD + "notice: " + "[" * 30, (5, 28), "nested deeper"),
        (HEAD + "--- \nname: second\n", (5, 1), "Not YAML"),
        ("#" * (LARGEST + 1), (1, 1), "at most 64 KiB"),
        (
            HEAD + "    gates: [{id: metric, minimum: {auc: .inf}}]\n",
            (5, 26),
            "names with a number",
        ),
    ],
)
def test_a_problem_has_its_place(text: str, at: tuple[int, int], says: str) -> None:
    with pytest.raises(DocumentInvalid, match="(?i)" + says.replace("(", r"\(")) as wrong:
        read(text)
    first = wrong.value.problems[0]
    assert (first.line, first.column) == at


def test_pointers_and_every_problem_at_once() -> None:
    with pytest.raises(DocumentInvalid) as wrong:
        read(HEAD + "    gates: [{id: odd}]\n    freeze: 3\nstagse: 1\n")
    pointers = [each.pointer for each in wrong.value.problems]
    assert pointers == ["/stages/staging/gates/0/id", "/stages/staging/freeze", "/stagse"]


def test_the_default_document_is_the_policy_that_migrations_made(db: None) -> None:
    from registry.models import PromotionPolicy

    text = (settings.BASE_DIR / "policies" / "default.yaml").read_text()
    assert read(text).content == PromotionPolicy.objects.newest("default").content  # type: ignore[union-attr]


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(document=st.dictionaries(_TEXT | st.sampled_from(["name", "stages"]), _VALUES, max_size=4))
@example(document={"\x85": None, "a\u2028b": "c\u2029"})
@limits(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_as_it_was_and_judged_alike(document: dict[str, Any]) -> None:
    found = problems(document)
    with pytest.raises(DocumentInvalid) as wrong:
        read(written(document))
    assert len(wrong.value.problems) == len(found)
    assert {each.message for each in wrong.value.problems} == set(map(str, found))
