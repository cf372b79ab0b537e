"""Experiments at a glance and the table of runs."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.test import Client

from tests.factories.training import ExperimentFactory, TrainingRunFactory
from training.models import TrainingRun
from training.search.listing import RunSection

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "results"}


def shown(response: Any) -> list[str]:
    return [run.run_name for run, _ in response.context["rows"]]


def test_without_a_login_nothing_is_shown(client: Client, db: None) -> None:
    assert client.get("/training/").status_code == 302


def test_without_a_role_nothing_is_shown(browser: Any, people: Any) -> None:
    assert browser(people.outsider).get("/training/").status_code == 403


def test_an_empty_site_says_what_to_do_next(viewer: Client) -> None:
    page = viewer.get("/training/").content.decode()
    assert "No runs yet" in page


def test_filters_that_hide_everything_can_be_cleared(viewer: Client) -> None:
    TrainingRunFactory()
    page = viewer.get("/training/", {"q": "nowhere"}).content.decode()
    assert "No runs match" in page
    assert "Clear filters" in page


def test_the_url_filters_and_sorts(viewer: Client) -> None:
    visits = ExperimentFactory(experiment_id="visits")
    for name, auc in (("a", 0.7), ("b", 0.9), ("c", 0.5)):
        TrainingRunFactory(run_name=name, experiment=visits, test_metrics={"roc_auc": auc})
    TrainingRunFactory(run_name="elsewhere")

    found = viewer.get(
        "/training/", {"q": "experiment:visits test_roc_auc>0.6", "sort": "-test_roc_auc"}
    )
    assert shown(found) == ["b", "a"]
    assert shown(viewer.get("/training/", {"status": "failed"})) == []


def test_what_is_not_understood_is_said(viewer: Client) -> None:
    page = viewer.get("/training/", {"q": "colour:red"}).content.decode()
    assert "colour:red" in page


def test_columns_can_be_chosen(viewer: Client) -> None:
    TrainingRunFactory(test_metrics={"roc_auc": 0.71, "recall": 0.4})
    page = viewer.get("/training/?columns=test_recall&columns=test_roc_auc")
    assert [column.name for column in page.context["columns"]] == ["test_recall", "test_roc_auc"]


def test_runs_of_others_show_their_own_metrics(viewer: Client) -> None:
    TrainingRunFactory(experiment=None, source="mlflow", test_metrics={}, metrics={"val_auc": 0.7})
    page = viewer.get("/training/")
    assert [column.name for column in page.context["columns"]] == ["val_auc"]
    assert "logged by others" in page.content.decode()


def test_trials_and_deleted_runs_stay_out(viewer: Client) -> None:
    TrainingRunFactory(run_name="trial", role="trial")
    TrainingRunFactory(run_name="gone", deleted_in_mlflow=True)
    assert shown(viewer.get("/training/")) == []
    assert shown(viewer.get("/training/?q=role:trial")) == ["trial"]
    assert shown(viewer.get("/training/?q=deleted:yes")) == ["gone"]


def test_htmx_gets_the_results_alone(viewer: Client) -> None:
    TrainingRunFactory()
    part = viewer.get("/training/", **HTMX).content.decode()
    assert part.lstrip().startswith('<div id="results"')
    assert "<html" not in part


def test_the_best_run_is_chosen_on_validation_and_judged_on_test(viewer: Client) -> None:
    visits = ExperimentFactory(experiment_id="visits", minimum_auc=0.8)
    TrainingRunFactory(
        experiment=visits,
        validation_metrics={"roc_auc": 0.90},
        test_metrics={"roc_auc": 0.78},
    )
    TrainingRunFactory(
        experiment=visits,
        validation_metrics={"roc_auc": 0.85},
        test_metrics={"roc_auc": 0.99},
    )
    (summary,) = viewer.get("/training/").context["experiments"]
    assert summary.best.test_metrics == {"roc_auc": 0.78}
    assert summary.verdict == "fail"


def test_an_unmeasured_criterion_is_not_met(viewer: Client) -> None:
    visits = ExperimentFactory(minimum_auc=0.6, minimum_recall=0.5)
    TrainingRunFactory(experiment=visits, validation_metrics={"roc_auc": 0.9})
    (summary,) = viewer.get("/training/").context["experiments"]
    assert summary.verdict == "inconclusive"
    assert summary.met == 1


@pytest.mark.parametrize("rows", [1, 12])
def test_the_page_takes_few_queries(
    rows: int, viewer: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(rows):
        TrainingRunFactory(validation_metrics={"roc_auc": 0.8})
    with django_assert_max_num_queries(9):
        viewer.get("/training/")


def test_csv_holds_exactly_the_filtered_rows_with_formulas_disarmed(viewer: Client) -> None:
    TrainingRunFactory(run_name="=SUM(A1)", test_metrics={"roc_auc": 0.9})
    TrainingRunFactory(run_name="poor", test_metrics={"roc_auc": 0.5})
    answer = viewer.get(
        "/training/runs/export/", {"q": "test_roc_auc>0.8", "columns": "test_roc_auc"}
    )
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["name"] for row in rows] == ["'=SUM(A1)"]
    assert rows[0]["test_roc_auc"] == "0.9"


def test_csv_of_a_wrong_filter_is_refused(viewer: Client) -> None:
    assert viewer.get("/training/runs/export/", {"q": "colour:red"}).status_code == 400


def test_pages_keep_the_query(viewer: Client) -> None:
    TrainingRunFactory.create_batch(51, experiment=ExperimentFactory())
    first = viewer.get("/training/", {"sort": "name"})
    last = shown(first)[-1]
    assert f"?sort=name&amp;before={last}%2C" in first.content.decode()
    assert first.context["count"] is None
    counted = viewer.get(
        "/training/", {"sort": "name"}, HTTP_HX_REQUEST="true", HTTP_HX_TARGET="count"
    )
    assert "51 runs" in counted.content.decode()
    assert "hx-get" not in counted.content.decode()

    second = viewer.get(f"/training/?sort=name&before={last},{first.context['rows'][-1][0].pk}")
    assert len(shown(second)) == 1
    assert not set(shown(second)) & set(shown(first))
    assert "First</a>" in second.content.decode()


def test_what_is_not_understood_is_marked_in_the_line(viewer: Client) -> None:
    page = viewer.get("/training/", {"q": 'status:lost "<b>" auc>0.9'}).content.decode()
    assert "<mark>status:lost</mark> &quot;&lt;b&gt;&quot; auc&gt;0.9" in page
    assert "there are scheduled, running" in page
    assert 'value="status:lost &quot;&lt;b&gt;&quot; auc&gt;0.9"' in page


def test_chosen_columns_are_remembered_until_others_are_chosen(viewer: Client) -> None:
    TrainingRunFactory(params={"lr": "0.1"}, tags={"team": "churn"})

    def columns(query: str) -> list[str]:
        return [each.token for each in viewer.get(f"/training/{query}").context["columns"]]

    assert columns("?columns=param.lr,tag.team") == ["param.lr", "tag.team"]
    assert columns("") == ["param.lr", "tag.team"]
    usual = viewer.get("/training/?sort=name").context["usual_query"]
    assert usual == "sort=name&columns="
    assert columns(f"?{usual}") == columns("")
    assert "param.lr" not in columns("")


def test_parameters_and_tags_are_columns_too(viewer: Client) -> None:
    TrainingRunFactory(params={"lr": "0.1"}, tags={"team": "churn"}, metrics={"gain": "NaN"})
    page = viewer.get("/training/?columns=param.lr,tag.team,gain&sort=-param.lr").content.decode()
    for text in ("0.1", "churn", "NaN"):
        assert f'<span title="{text}">{text}</span>' in page


def test_new_runs_are_counted_not_inserted(viewer: Client) -> None:
    old = TrainingRunFactory()
    TrainingRunFactory(status="failed")
    TrainingRunFactory()
    HTTP = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "news"}
    part = viewer.get("/training/", {"seen": old.pk, "q": "status:finished"}, **HTTP)
    assert "1 new run<" in part.content.decode()
    assert "<table" not in part.content.decode()
    assert "new run" not in viewer.get("/training/", {"seen": "x"}, **HTTP).content.decode()


def test_csv_holds_all_rows_in_the_order_of_the_page(viewer: Client) -> None:
    experiment = ExperimentFactory()
    for number in range(60):
        TrainingRunFactory(
            experiment=experiment, run_name=f"r{number:02}", test_metrics={"auc": number / 100}
        )
    answer = viewer.get("/training/runs/export/?sort=-metric.test_auc&q=metric.test_auc>=0.05")
    rows = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))
    assert [row["name"] for row in rows] == [f"r{number:02}" for number in range(59, 4, -1)]


def test_a_run_that_ends_while_a_page_is_made_is_shown(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    TrainingRunFactory(run_name="ending", status="running")
    find = RunSection.find

    def found_then_ended(section: RunSection, *args: Any) -> Any:
        found = find(section, *args)
        TrainingRun.objects.filter(pk__in=[pk for pk, _ in found]).update(status="finished")
        return found

    monkeypatch.setattr(RunSection, "find", found_then_ended)
    assert "ending" in viewer.get("/training/", {"status": "running"}).content.decode()
