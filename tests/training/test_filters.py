from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories.training import ExperimentFactory, TrainingRunFactory
from training.filters import TrainingRunFilter, parse_search, search_runs, sort_runs
from training.models import TrainingRun

pytestmark = pytest.mark.django_db


def found(line: str) -> list[str]:
    runs, errors = search_runs(line, TrainingRun.objects.all())
    assert errors == ()
    return sorted(run.run_name for run in runs)


def test_a_search_line_combines_words_tokens_and_metrics() -> None:
    visits = ExperimentFactory(experiment_id="visits")
    TrainingRunFactory(run_name="good", experiment=visits, test_metrics={"roc_auc": 0.81})
    TrainingRunFactory(run_name="poor", experiment=visits, test_metrics={"roc_auc": 0.62})
    TrainingRunFactory(run_name="good-elsewhere", test_metrics={"roc_auc": 0.9})

    assert found("experiment:visits test_roc_auc>=0.8") == ["good"]
    assert found("good") == ["good", "good-elsewhere"]
    assert found("experiment:visits algorithm:lightgbm") == ["good", "poor"]
    assert found("test_roc_auc<0.7") == ["poor"]


def test_metrics_that_others_logged_are_found_by_their_own_names() -> None:
    TrainingRunFactory(
        run_name="theirs",
        experiment=None,
        source="mlflow",
        test_metrics={},
        metrics={"val_auc": 0.77, "test_roc_auc": 0.7},
    )
    TrainingRunFactory(run_name="ours", test_metrics={"roc_auc": 0.9}, metrics={})

    assert found("val_auc>0.7") == ["theirs"]
    assert found("test_roc_auc>0.6") == ["ours", "theirs"]
    assert found("source:mlflow") == ["theirs"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("colour:red", "colour:red"),
        ("status:lost", "lost"),
        ("test_roc_auc>=much", "much"),
        ("test_roc_auc>=nan", "nan"),
    ],
)
def test_what_is_not_understood_finds_nothing_and_says_so(line: str, said: str) -> None:
    TrainingRunFactory()
    runs, errors = search_runs(line, TrainingRun.objects.all())
    assert not runs
    assert said in " ".join(errors)


@given(st.text(max_size=60))
def test_no_search_line_breaks_the_parser(line: str) -> None:
    search = parse_search(line)
    TrainingRunFilter(search.data, queryset=TrainingRun.objects.none()).form.is_valid()


def test_sorting_by_a_metric_puts_unmeasured_runs_last() -> None:
    for name, auc in (("b", 0.7), ("a", 0.9), ("c", None)):
        TrainingRunFactory(run_name=name, test_metrics={} if auc is None else {"roc_auc": auc})
    runs = TrainingRun.objects.all()

    assert [r.run_name for r in sort_runs(runs, "-test_roc_auc")] == ["a", "b", "c"]
    assert [r.run_name for r in sort_runs(runs, "test_roc_auc")] == ["b", "a", "c"]


def test_by_default_a_run_that_waits_to_start_comes_first() -> None:
    TrainingRunFactory(run_name="done")
    TrainingRunFactory(run_name="waits", started_at=None, status="scheduled")
    assert sort_runs(TrainingRun.objects.all(), "?'drop").first().run_name == "waits"
