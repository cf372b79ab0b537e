from __future__ import annotations

import pytest

from tests.factories.training import ExperimentFactory, TrainingRunFactory
from training.filters import TrainingRunFilter
from training.models import TrainingRun

pytestmark = pytest.mark.django_db


def found(line: str) -> list[str]:
    filters = TrainingRunFilter({"q": line}, queryset=TrainingRun.objects.all())
    assert not filters.errors
    return sorted(run.run_name for run in filters.qs)


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
    filters = TrainingRunFilter({"q": line}, queryset=TrainingRun.objects.all())
    assert said in str(filters.errors["q"])


def test_conditions_on_metrics_alone_are_a_filter_too() -> None:
    TrainingRunFactory(run_name="good", test_metrics={"roc_auc": 0.9, "recall": 0.4})
    TrainingRunFactory(run_name="poor", test_metrics={"roc_auc": 0.6, "recall": 0.4})
    every = TrainingRun.objects.all()

    found = TrainingRunFilter({"metric": "test_roc_auc>0.8, test_recall<0.5"}, queryset=every)
    assert [run.run_name for run in found.qs] == ["good"]
    wrong = TrainingRunFilter({"metric": "status:failed"}, queryset=every)
    assert "is no condition" in str(wrong.errors["metric"])
