"""Tracked runs: everything arrives once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector import (
    Conflict,
    MLflowConnector,
    NotFound,
    Rejected,
    Unreachable,
    models,
)
from e2i_site.mlflow_connector.delivery import JOURNAL_TAG, OPERATION_TAG
from e2i_site.mlflow_connector.types import Run
from tests.faults import FaultProxy
from tests.mlflow_connector.conftest import ONCE, QUICK

Through = Callable[..., MLflowConnector]


def write_all(connector: MLflowConnector, name: str, model: Path) -> tuple[str, str]:
    """A parent and a nested run with one of everything; returns their journal ids."""
    with connector.start_run(name, run_name="outer") as outer:
        pass
    with connector.start_run(name, run_name="inner", tags={"a": 1}, parent=outer) as run:
        run.log_params({"hp_depth": 3, "hp_list": [1, {"b": 2}]})
        run.log_metrics({"auc": 0.75}, step=1)
        run.log_metrics({"auc": 0.8}, step=2)
        run.set_tags({"a": 2, "password": "hunter2"})
        run.log_dataset("visits", "d" * 64, schema={"x": "double"}, source="file.csv")
        run.log_text("hello", "notes/a.txt")
        run.log_model(model, register_as=name, version_tags={"kind": "test"})
    return outer.journal_id, run.journal_id


def only_run(connector: MLflowConnector, name: str, journal_id: str) -> Run:
    experiment = connector.find_experiment(name)
    assert experiment
    runs = [
        run
        for run in connector.iter_runs([experiment.experiment_id])
        if run.tags.get(JOURNAL_TAG) == journal_id
    ]
    assert len(runs) == 1
    return runs[0]


def check_all(connector: MLflowConnector, name: str, outer: str, inner: str, model: Path) -> None:
    """Everything of `write_all` is in MLflow exactly once."""
    parent, run = only_run(connector, name, outer), only_run(connector, name, inner)
    assert (parent.status, run.status, run.name) == ("FINISHED", "FINISHED", "inner")
    assert run.parent_run_id == parent.run_id
    assert run.params == {"hp_depth": "3", "hp_list": '[1, {"b": 2}]'}
    assert run.metrics == {"auc": 0.8}
    assert (run.tags["a"], run.tags["password"]) == ("2", "***")
    history = connector.transport.get("metrics/get-history", run_id=run.run_id, metric_key="auc")
    assert [(each["value"], each["step"]) for each in history["metrics"]] == [(0.75, 1), (0.8, 2)]
    (dataset,) = run.datasets
    assert (dataset.digest, dataset.tags["e2i.digest"]) == ("d" * 36, "d" * 64)
    files = {item.path for item in connector.list_artifacts(run_id=run.run_id, recursive=True)}
    assert files == {"notes/a.txt"}
    logged = [
        each
        for each in connector.find_logged_models([run.experiment_id])
        if each.tags.get(OPERATION_TAG, "").startswith(inner)
    ]
    assert [each.status for each in logged] == ["READY"]
    assert run.model_outputs == (logged[0].model_id,)
    (version,) = [
        each
        for each in connector.iter_model_versions(f"name = '{name}'")
        if each.run_id == run.run_id
    ]
    assert (version.model_id, version.tags["kind"]) == (logged[0].model_id, "test")
    result = connector.journal_result(inner)
    assert result.done
    assert result.problems == ()
    assert (result.model_version, result.run_id) == (version.version, run.run_id)
    assert result.digest == models.digest(model) == version.tags["e2i.digest"]
    assert connector.replay(inner) == result
    assert connector.pending_journals() == []


def test_everything_arrives_at_once(
    connector: MLflowConnector, name: str, tiny_model: Path
) -> None:
    outer, inner = write_all(connector, name, tiny_model)
    check_all(connector, name, outer, inner, tiny_model)


def test_ids_are_known_as_soon_as_mlflow_has_them(connector: MLflowConnector, name: str) -> None:
    with connector.start_run(name, run_name="r") as run:
        assert run.mlflow_run_id
        assert connector.get_run(run.mlflow_run_id).status == "RUNNING"
        assert not run.result.done
        assert run.model_uri is None
    assert run.result.done


def test_work_goes_on_while_mlflow_is_away(
    proxy: FaultProxy, through: Through, name: str, tiny_model: Path
) -> None:
    connector = through()
    with proxy.broken("refuse"):
        outer, inner = write_all(connector, name, tiny_model)
        first, second = connector.pending_journals()
        assert (first.ended, first.writing, first.mlflow_run_id) == (True, False, None)
        assert second.waiting == 9
        with pytest.raises(Unreachable):
            connector.replay(inner)
        assert connector.journal_result(inner).run_id is None
    through().replay(inner)  # delivers the start of its parent first
    through().replay(outer)
    check_all(through(), name, outer, inner, tiny_model)
    started = only_run(through(), name, inner).start_ms / 1000
    assert abs(started - second.started_at) < 5


def test_mlflow_comes_back_in_the_middle(
    proxy: FaultProxy, through: Through, connector: MLflowConnector, name: str
) -> None:
    with proxy.broken("refuse"):
        context = through().start_run(name, run_name="r")
        run = context.__enter__()
        run.log_params({"a": 1})
        assert run.mlflow_run_id is None
    run.log_params({"b": 2})
    assert run.mlflow_run_id is None, "it is left alone for a while"
    run._quiet_until = 0
    run.log_params({"c": 3})
    assert run.mlflow_run_id
    context.__exit__(None, None, None)
    assert connector.get_run(run.mlflow_run_id).params == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize("mode", ["drop", "truncate", "error"])
def test_every_answer_may_be_lost(
    proxy: FaultProxy, through: Through, name: str, tiny_model: Path, mode: str
) -> None:
    """Each request fails when it is sent first: nothing is skipped and nothing comes twice."""
    with proxy.broken("refuse"):
        outer, inner = write_all(through(), name, tiny_model)
    fault = proxy.fault(mode, first_only=True)
    lost = 0
    for journal_id in (inner, outer):
        while True:
            try:
                assert through().replay(journal_id).done
                break
            except Unreachable:
                lost += 1
    proxy.heal()
    assert lost == fault.hits > 20
    check_all(through(), name, outer, inner, tiny_model)


KILLED_CHILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    from e2i_site.mlflow_connector import MLflowConnector
    MLflowConnector(sys.argv[1], Path(sys.argv[2])).replay(sys.argv[3])
""")


@pytest.mark.parametrize(
    "request_line", ["runs/create", "logged-models$", "weights", "model-versions/create"]
)
def test_a_killed_delivery_is_taken_up(
    proxy: FaultProxy, through: Through, name: str, tiny_model: Path, request_line: str
) -> None:
    connector = through()
    with proxy.broken("refuse"):
        outer, inner = write_all(connector, name, tiny_model)
    through().replay(outer)
    fault = proxy.fault("stall", f"(POST|PUT) .*{request_line}")
    arguments = [proxy.url, str(connector.journal_dir), inner]
    child = subprocess.Popen([sys.executable, "-c", KILLED_CHILD, *arguments])
    assert fault.reached.wait(60)
    with pytest.raises(Conflict, match="being delivered"):
        connector.replay(inner)
    child.send_signal(signal.SIGKILL)
    child.wait()
    proxy.heal()
    connector.replay(inner)
    check_all(connector, name, outer, inner, tiny_model)


KILLED_TRAINER = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from e2i_site.mlflow_connector import MLflowConnector
    with MLflowConnector(sys.argv[1], Path(sys.argv[2])).start_run(
        sys.argv[3], run_name="r", journal_id="mine"
    ) as run:
        run.log_params({"a": 1})
        with (run._journal.folder / "journal.jsonl").open("ab") as stream:
            stream.write(b'{"kind": "bat')
        os.kill(os.getpid(), signal.SIGKILL)
""")


def test_a_run_whose_process_was_killed_is_closed(connector: MLflowConnector, name: str) -> None:
    arguments = [connector.transport.url, str(connector.journal_dir), name]
    subprocess.run([sys.executable, "-c", KILLED_TRAINER, *arguments], check=False)
    (left,) = connector.pending_journals()
    assert (left.journal_id, left.ended, left.writing) == ("mine", False, False)
    assert not connector.replay("mine").done
    connector.close_journal("mine")
    connector.close_journal("mine")
    result = connector.replay("mine")
    assert (result.done, result.status) == (True, "KILLED")
    read = only_run(connector, name, "mine")
    assert (read.status, read.params) == ("KILLED", {"a": "1"})


def test_a_living_run_is_not_closed(connector: MLflowConnector, name: str) -> None:
    with connector.start_run(name, run_name="r") as run:
        assert connector.pending_journals()[0].writing
        with pytest.raises(Conflict, match="still being written"):
            connector.close_journal(run.journal_id)
        with pytest.raises(Conflict, match="exists already"):
            connector.start_run(name, run_name="r", journal_id=run.journal_id).__enter__()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("bad password=hunter2"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(1), "KILLED"),
        (TimeoutError("cancelled by a person"), "KILLED"),
    ],
)
def test_how_it_ends(
    connector: MLflowConnector, name: str, error: BaseException, status: str
) -> None:
    context = connector.start_run(name, run_name="r", killed_by=(TimeoutError,))
    with pytest.raises(type(error)), context as run:
        raise error
    read = connector.get_run(str(run.mlflow_run_id))
    assert read.status == status
    assert read.tags["e2i.error"].startswith(type(error).__name__)
    assert "hunter2" not in read.tags["e2i.error"]


def test_what_mlflow_refuses_for_good_is_told_and_skipped(
    connector: MLflowConnector, name: str
) -> None:
    with connector.start_run(name, run_name="r") as run:
        connector.transport.write("POST", "runs/delete", run_id=run.mlflow_run_id)
        run.log_params({"a": 1})
        connector.transport.write("POST", "runs/restore", run_id=run.mlflow_run_id)
        run.log_params({"b": 2})
    assert run.result.done
    (problem,) = run.result.problems
    assert "batch 1" in problem
    assert connector.get_run(str(run.mlflow_run_id)).params == {"b": "2"}


def test_refused_access_waits_instead_of_losing(through: Through, name: str) -> None:
    connector = through()

    class Closed:
        def __call__(self, *_: object, **__: object) -> None:
            raise Rejected("no", status=401)

    connector.transport.write = Closed()  # type: ignore[method-assign]
    with connector.start_run(name, run_name="r") as run:
        run.log_params({"a": 1})
    assert run.mlflow_run_id is None
    assert through().replay(run.journal_id).done


def test_long_and_odd_values_are_met(connector: MLflowConnector, name: str) -> None:
    long = "é" * 7000
    with connector.start_run(name, run_name="r") as run:
        run.log_params({"hp_long": long, "odd?key": 1, "k" * 300: 2})
        run.log_params({f"p{index}": "ü" * 5000 for index in range(250)})
        run.log_metrics({f"m{index}": index for index in range(2500)})
        run.set_tags({"long": "x" * 9000})
    assert run.result.problems == ()
    read = connector.get_run(str(run.mlflow_run_id))
    assert (len(read.params), len(read.metrics)) == (253, 2500)
    assert len(read.params["hp_long"]) == 6000
    assert read.params["odd_key"] == "1"
    whole = connector.read_artifact(f"runs:/{read.run_id}/long_params/hp_long.txt")
    assert whole.decode() == long


def test_a_parameter_does_not_change(connector: MLflowConnector, name: str) -> None:
    with connector.start_run(name, run_name="r") as run:
        run.log_params({"a": 1})
        run.log_params({"a": 1})
        with pytest.raises(InvalidInput, match="already '1'"):
            run.log_params({"a": 2})
    assert run.result.problems == ()


def test_input_that_cannot_be_logged_is_refused_at_once(
    connector: MLflowConnector, name: str, tmp_path: Path
) -> None:
    with connector.start_run(name, run_name="r") as run:
        with pytest.raises(InvalidInput, match="no file"):
            run.log_artifact(tmp_path / "absent")
        with pytest.raises(InvalidInput, match="MLmodel"):
            run.log_model(tmp_path)
        with pytest.raises(Rejected, match="not a safe"):
            run.log_text("x", "../up.txt")
        with pytest.raises(InvalidInput, match="not a number"):
            run.log_metrics({"auc": "high"})
    assert run.result.done
    for bad in ("../x", "", "delivered", "a/b"):
        with pytest.raises(InvalidInput):
            connector.start_run(name, run_name="r", journal_id=bad or "/").__enter__()
    with pytest.raises(NotFound):
        connector.replay("absent")


def test_files_are_kept_as_they_were_when_logged(
    proxy: FaultProxy, through: Through, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "plots"
    folder.mkdir()
    (folder / "roc.svg").write_text("before")
    with proxy.broken("refuse"), through().start_run(name, run_name="r") as run:
        run.log_artifact(folder, "all")
        (folder / "roc.svg").write_text("after")
    result = through().replay(run.journal_id)
    read = through().read_artifact(f"runs:/{result.run_id}/all/plots/roc.svg")
    assert read == b"before"


def test_threads_share_a_run(connector: MLflowConnector, name: str) -> None:
    with connector.start_run(name, run_name="r") as run:
        threads = [
            threading.Thread(target=run.log_metrics, args=({f"m{number}": number},))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(connector.get_run(str(run.mlflow_run_id)).metrics) == 8


def test_the_event_loop_goes_on_while_mlflow_hangs(
    proxy: FaultProxy, through: Through, name: str
) -> None:
    """The loop itself lifts the fault, which it could not do if it were blocked."""
    connector = through(ONCE, timeout=20)
    fault = proxy.fault("hang", "runs/log-batch")

    async def lift() -> None:
        while not fault.hits:
            await asyncio.sleep(0.001)
        for _ in range(20):
            await asyncio.sleep(0.001)
        proxy.heal()

    async def work() -> None:
        async with connector.start_run(name, run_name="r") as run:
            lifting = asyncio.create_task(lift())
            await run.log_params({"a": 1})
            assert lifting.done()
            await run.log_metrics({"m": 1}, step=2)
            await run.log_text("x", "x.txt")
        assert run.result.done
        assert run.mlflow_run_id
        read = connector.get_run(run.mlflow_run_id)
        assert (read.status, read.params, read.metrics) == ("FINISHED", {"a": "1"}, {"m": 1.0})

    asyncio.run(work())


def test_cancelled_and_failed_coroutines(connector: MLflowConnector, name: str) -> None:
    ids: dict[str, str] = {}

    async def work(how: str) -> None:
        async with connector.start_run(name, run_name=how) as run:
            ids[how] = str(run.mlflow_run_id)
            if how == "failed":
                raise ValueError(how)
            await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(work("cancelled"))
        while "cancelled" not in ids:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ValueError, match="failed"):
            await work("failed")

    asyncio.run(main())
    found = {how: connector.get_run(run_id).status for how, run_id in ids.items()}
    assert found == {"cancelled": "KILLED", "failed": "FAILED"}
    assert connector.pending_journals() == []


PLAIN_CLIENT = textwrap.dedent("""
    import json, sys, warnings
    warnings.filterwarnings("ignore")
    import mlflow, pandas
    mlflow.set_tracking_uri(sys.argv[1])
    frame = pandas.DataFrame(json.loads(sys.argv[2]))
    model = mlflow.pyfunc.load_model(f"models:/{sys.argv[3]}@production")
    print(json.dumps([float(each) for each in model.predict(frame)[:, 1]]))
""")


@pytest.mark.parametrize("algorithm", ["logistic", "lightgbm", "xgboost"])
def test_plain_mlflow_loads_what_was_logged(
    connector: MLflowConnector, name: str, tmp_path: Path, algorithm: str
) -> None:
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    if algorithm == "lightgbm":
        from lightgbm import LGBMClassifier

        estimator = LGBMClassifier(n_estimators=5, verbose=-1)
    elif algorithm == "xgboost":
        from xgboost import XGBClassifier

        estimator = XGBClassifier(n_estimators=5)
    else:
        estimator = LogisticRegression()
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=200), "b": rng.choice(["x", "y"], 200)})
    before = ColumnTransformer(
        [
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["a"]),
            ("word", OneHotEncoder(handle_unknown="ignore"), ["b"]),
        ]
    )
    fitted = make_pipeline(before, estimator).fit(frame, (frame.a > 0).astype(int))
    saved = models.save_model(
        fitted,
        tmp_path / "model",
        example=frame.head(3),
        requirements=["scikit-learn"],
        predict_method="predict_proba",
    )
    with connector.start_run(name, run_name="r") as run:
        digest = run.log_model(saved, register_as=name)
    connector.set_alias(name, "production", str(run.model_version))
    expected = fitted.predict_proba(frame.head(5))[:, 1]
    got = connector.download_artifacts(f"models:/{name}@production", tmp_path / "got")
    assert models.digest(got) == digest
    loaded = models.load_pyfunc(got)
    assert loaded.metadata.signature is not None
    names = [each["name"] for each in models.read_signature(got)["inputs"]]
    assert names == ["a", "b"]
    np.testing.assert_allclose(loaded.predict(frame.head(5))[:, 1], expected)
    if algorithm == "lightgbm":
        sent = json.dumps(frame.head(5).to_dict("list"))
        environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        answer = subprocess.run(
            [sys.executable, "-c", PLAIN_CLIENT, connector.transport.url, sent, name],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        np.testing.assert_allclose(json.loads(answer.stdout), expected)


def test_models_with_foreign_types_are_refused(tmp_path: Path) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    model = make_pipeline(FunctionTransformer(textwrap.dedent)).fit([[1.0]])
    with pytest.raises(InvalidInput, match="textwrap"):
        models.save_model(model, tmp_path / "m", requirements=["scikit-learn"])
    assert not (tmp_path / "m").exists()


def test_replay_with_retries_needs_no_second_call(
    proxy: FaultProxy, through: Through, name: str, tiny_model: Path
) -> None:
    with proxy.broken("refuse"):
        outer, inner = write_all(through(), name, tiny_model)
    proxy.fault("error", "runs/log-batch", times=2)
    connector = through(QUICK)
    assert connector.replay(inner).done
    connector.replay(outer)
    check_all(connector, name, outer, inner, tiny_model)
