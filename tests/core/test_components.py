"""The components say what they should, to eyes and to screen readers."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.core.paginator import Paginator
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from deployments.choices import DeploymentStatus, WindowState
from e2i_site.audit.choices import FindingStatus, Outcome, Priority
from e2i_site.core.charts import LineChart, Series
from e2i_site.core.decision import ALLOWED, refuse
from e2i_site.core.formats import duration, figure, percent, relative
from e2i_site.core.statuses import UNKNOWN, look
from e2i_site.core.templatetags.e2i import ICONS, icon
from e2i_site.jobs.models import JobState
from registry.choices import GateOutcome, PromotionState, ReviewDecision, Stage
from training.choices import CandidateOutcome, NodeOutcome, RunStatus, TrialState


def render(source: str, path: str = "/list/", **context: Any) -> str:
    context.setdefault("request", RequestFactory().get(path))
    return Template("{% load e2i %}" + source).render(Context(context))


@pytest.mark.parametrize(
    "choices",
    [
        CandidateOutcome,
        DeploymentStatus,
        FindingStatus,
        GateOutcome,
        JobState,
        NodeOutcome,
        Outcome,
        Priority,
        PromotionState,
        ReviewDecision,
        RunStatus,
        Stage,
        TrialState,
        WindowState,
    ],
)
def test_every_status_has_a_look_of_its_own(choices: Any) -> None:
    for member in choices:
        seen = look(member)
        assert seen.icon != UNKNOWN.icon, f"{choices.__name__}.{member.name} has no look"
        assert (ICONS / f"{seen.icon}.svg").exists()
        assert seen.label


def test_a_badge_tells_its_status_in_words() -> None:
    html = render("{% badge state %}", state=JobState.RUNNING)
    assert "Running" in html
    assert "<svg" in html


def test_an_unknown_status_is_shown_as_it_is() -> None:
    assert "Odd thing" in render("{% badge 'odd_thing' %}")


def test_a_double_meaning_is_settled_by_kind() -> None:
    assert 'data-tone="info"' in render("{% badge 'open' %}")
    assert 'data-tone="bad"' in render("{% badge 'open' kind='finding' %}")


def test_no_component_carries_an_inline_style_or_handler() -> None:
    chart = LineChart("Latency", [1, 2, 3], [Series("v1", [1.0, None, 3.0])])
    html = render(
        "{% badge 'pass' %}{% stage_track 'shadow' target='production' %}{% metric 1.0 base=2.0 %}"
        "{% progress 3 10 label='x' %}{% line_chart chart %}{% plot_roc x y auc=0.5 %}"
        "{% plot_confusion m l %}{% plot_bars b title='t' %}{% hash 'abcdefabcdefabcdef' %}"
        "{% gate 'Quality' 'pass' observed='1' %}inside{% endgate %}{% verdict 'good' 'Yes.' %}",
        chart=chart,
        x=[0, 0.5, 1],
        y=[0, 0.8, 1],
        m=[[3, 1], [0, 4]],
        l=["no", "yes"],
        b=[("age", 0.5)],
    )
    assert not re.search(r"\sstyle=|\son[a-z]+=", html)
    assert "&lt;" not in html


def test_words_from_outside_are_escaped() -> None:
    nasty = "<script>alert(1)</script>"
    html = render(
        "{% badge nasty %}{% hash nasty %}{% verdict 'bad' nasty %}{% plot_bars b title=nasty %}"
        "{% action nasty url=nasty %}{% kv pairs %}",
        nasty=nasty,
        b=[(nasty, 1.0)],
        pairs={nasty: nasty},
    )
    assert "<script>" not in html


def test_a_refused_action_is_disabled_and_says_why() -> None:
    html = render(
        "{% action 'Approve' url='/x' method='post' decision=decision %}",
        decision=refuse("You requested it.", "The evidence is stale."),
    )
    assert "disabled" in html
    assert "You requested it. The evidence is stale." in html
    assert "<form" not in html


def test_an_allowed_action_posts_with_a_token() -> None:
    html = render(
        "{% action 'Approve' url='/x' method='post' decision=decision %}",
        decision=ALLOWED,
        csrf_token="secret",
    )
    assert 'action="/x"' in html
    assert 'value="secret"' in html
    assert "disabled" not in html


def test_a_missing_measurement_is_a_dash_and_not_a_zero() -> None:
    html = render("{% metric value %}", value=None)
    assert "–" in html
    assert "0" not in re.sub(r"<[^>]*>", "", html)


@pytest.mark.parametrize(
    ("value", "base", "better", "tone"),
    [
        (0.9, 0.8, "higher", "good"),
        (0.7, 0.8, "higher", "bad"),
        (90, 120, "lower", "good"),
        (150, 120, "lower", "bad"),
        (150, 120, "", "quiet"),
        (0.8, 0.8, "higher", "quiet"),
    ],
)
def test_a_difference_knows_which_way_is_better(
    value: float, base: float, better: str, tone: str
) -> None:
    html = render("{% metric v base=b better=w %}", v=value, b=base, w=better)
    assert f'class="delta" data-tone="{tone}"' in html


def test_sorting_keeps_the_filters_and_turns_round() -> None:
    html = render("{% sort_header 'AUC' 'auc' numeric=True %}", "/list/?q=churn&page=3")
    assert "q=churn" in html
    assert "ordering=-auc" in html
    assert "page=" not in html
    html = render("{% sort_header 'AUC' 'auc' numeric=True %}", "/list/?ordering=-auc")
    assert 'aria-sort="descending"' in html
    assert "ordering=auc" in html


def test_pages_keep_the_filters() -> None:
    page = Paginator(range(30), 10).page(2)
    html = render("{% pagination page noun='runs' %}", "/list/?q=a&page=2", page=page)
    assert "?q=a&amp;page=1" in html
    assert "?q=a&amp;page=3" in html
    assert "11–20 of 30 runs" in html


def test_time_has_the_absolute_moment_for_people_and_machines() -> None:
    html = render("{% time at %}", at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert 'datetime="2026-03-01T12:00:00+00:00"' in html
    assert "2026-03-01 12:00:00 UTC" in html


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2, "now"),
        (40, "40 s ago"),
        (200, "3 min ago"),
        (7300, "2 h ago"),
        (86400, "1 day ago"),
        (3 * 86400, "3 days ago"),
        (-90, "in 1 min"),
    ],
)
def test_relative_times(seconds: float, words: str) -> None:
    now = timezone.now()
    assert relative(now - timedelta(seconds=seconds), now) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.85, "850 ms"),
        (4.21, "4.2 s"),
        (185, "3 min 5 s"),
        (86280, "23 h 58 min"),
        (86400, "1 d"),
        (59.99, "1 min"),
        (None, "–"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("share", "words"), [(0, "0 %"), (0.0012, "0.12 %"), (0.5, "50 %"), (1, "100 %"), (None, "–")]
)
def test_percentages(share: float | None, words: str) -> None:
    assert percent(share) == words


@given(st.floats(min_value=0, max_value=10**9))
def test_every_duration_has_words(seconds: float) -> None:
    assert re.fullmatch(r"[\d.]+ (ms|s|min|h|d)( \d+ (h|min|s))?", duration(seconds))


@given(st.one_of(st.none(), st.integers(), st.floats()))
def test_every_number_has_a_figure(value: float | None) -> None:
    assert figure(value)


def test_a_missing_icon_is_an_error_and_not_a_gap() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-icon"):
        icon("no-such-icon")


def test_a_chart_refuses_series_of_another_length() -> None:
    with pytest.raises(ValueError, match="2 values for 3 places"):
        LineChart("x", [1, 2, 3], [Series("v", [1, 2])])


def test_a_chart_has_its_numbers_in_a_table() -> None:
    chart = LineChart("Latency", [1, 2], [Series("v1", [12.5, None])], unit="ms")
    html = render("{% line_chart chart %}", chart=chart)
    assert '<td class="num">12.5</td>' in html
    drawn = html.split('data-chart="')[1].split('"')[0]
    assert json.loads(unescape(drawn))["series"][0]["values"] == [12.5, None]


@pytest.mark.django_db
def test_the_page_of_specimens_shows_every_tag(people: Any) -> None:
    from django.contrib.auth.models import User

    from e2i_site.core.components import register as acting
    from e2i_site.core.templatetags.e2i import register
    from e2i_site.specimens import design

    request = RequestFactory().get("/design/")
    request.user = User.objects.get(username="viewer")
    assert design(request).status_code == 200
    source = (ICONS.parents[4] / "templates/design.html").read_text(encoding="utf-8")
    source += "".join(
        path.read_text(encoding="utf-8")
        for path in (ICONS.parents[4] / "templates/components").glob("*.html")
    )
    unseen = [
        name for name in {*register.tags, *acting.tags} if not re.search(rf"{{% {name}\b", source)
    ]
    assert unseen == []
