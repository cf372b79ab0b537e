"""The search line: what it reads as, what it prints as, and what it says when it cannot be read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.search.grammar import ATTRIBUTES, Kind, SearchError, Term, parse, printed

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    str.strip
)
OPERATORS = st.sampled_from(("=", "!=", "<", "<=", ">", ">=", "~", "like", "ilike"))


@st.composite
def terms(draw: st.DrawFn) -> Term:
    kind = draw(st.sampled_from(list(Kind)))
    if kind == Kind.WORD:
        return Term(kind, "", "", (draw(TEXT),))
    name = draw(st.sampled_from(sorted(set(ATTRIBUTES.values()))) if kind == "attribute" else TEXT)
    if draw(st.booleans()):
        return Term(kind, name, draw(OPERATORS), (draw(TEXT | st.just("")),))
    if kind in (Kind.PARAM, Kind.TAG) and draw(st.booleans()):
        return Term(kind, name, draw(st.sampled_from(("is null", "is not null"))), ())
    op = draw(st.sampled_from(("in", "not in")))
    return Term(kind, name, op, tuple(draw(st.lists(TEXT, min_size=1, max_size=3))))


@settings(max_examples=300)
@given(st.lists(terms(), max_size=5))
def test_what_is_printed_reads_as_it_was(wanted: list[Term]) -> None:
    assert parse(printed(wanted)) == tuple(wanted)


@settings(max_examples=300)
@given(st.text(max_size=80) | st.text("metric.ap>0'\"`=!<:~ (),inlke", max_size=60))
def test_any_text_is_read_or_refused_with_a_place(line: str) -> None:
    try:
        found = parse(line)
    except SearchError as error:
        assert 0 <= error.start <= error.end <= len(line) + 1
        assert error.message
    else:
        assert parse(printed(found)) == found
        assert all(term.start < term.end <= len(line) for term in found)


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ("metric.auc>0.9", "metric.auc>0.9"),
        ("metrics.auc > 0.9 and params.lr = '0.1'", "metric.auc>0.9 param.lr=0.1"),
        ("tags.`mlflow.user` LIKE '%x%'", "tag.mlflow.user like '%x%'".replace("'%x%'", "%x%")),
        ("attributes.status = 'FINISHED'", "status=FINISHED"),
        ('params."learning rate" != "0.1"', "param.`learning rate`!=0.1"),
        ("attributes.run_id IN ('a', 'b')", "run in (a, b)"),
        ("status NOT IN (failed,killed)", "status not in (failed, killed)"),
        ("tag.team:churn user:anna", "tag.team=churn user=anna"),
        ("started:>2026-01-01 deleted:yes", "started>2026-01-01 deleted=yes"),
        ("Status: finished", "status=finished"),
        ("test_roc_auc>=0.8", "metric.test_roc_auc>=0.8"),
        ("auc>0.9, f1>0.5", "metric.auc>0.9 metric.f1>0.5"),
        ("free words 'kept as one'", 'free words "kept as one"'),
        ("tag.note:'it''s'", "tag.note='it''s'"),
        ("like this AND that", '"like" this that'),
        ("param.expr=a>b", "param.expr=a>b"),
        ("run_id==abc", "run=abc"),
        ("params.a IS NULL and tags.`b c` is  not null", "param.a is null tag.`b c` is not null"),
        ("tag.a is null, what is null", "tag.a is null what is null"),
        ("", ""),
    ],
)
def test_a_line_reads_as(line: str, reads: str) -> None:
    assert printed(parse(line)) == reads


@pytest.mark.parametrize(
    ("line", "marked", "said"),
    [
        ("status:", "", "value is missing"),
        ("a metric.auc b", "metric.auc", "comparison is missing"),
        ("a > 1 OR b > 2", "OR", "There is no OR"),
        ("user:'anna", "'anna", "not closed"),
        ("status in finished", "f", "list in brackets"),
        ("status in (a, b", "(a, b", "not closed"),
        ("a attribute.colour=1", "attribute.colour=", "no attribute colour"),
        ("a status is null", "status is null", "Only of a parameter or a tag"),
        ("metric.>1", "metric.", "name is missing"),
        ("a >> 1 ) b", ")", "begins with a name"),
        ("a\x00b", "\x00", "cannot be searched"),
        ('""', '""', "nothing between"),
    ],
)
def test_a_mistake_is_named_with_its_place(line: str, marked: str, said: str) -> None:
    with pytest.raises(SearchError, match=re.escape(said)) as caught:
        parse(line)
    assert line[caught.value.start : caught.value.end].strip(":") == marked


def test_a_line_and_its_conditions_have_a_bound() -> None:
    with pytest.raises(SearchError, match="2,000"):
        parse("a" * 2001)
    with pytest.raises(SearchError, match="40 conditions"):
        parse(" ".join("a" for _ in range(41)))
