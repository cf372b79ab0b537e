"""Names, secrets, limits, digests, and what mlflow sends: rules without a server."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector import artifacts, masking, models, naming, params
from e2i_site.mlflow_connector.errors import Rejected
from e2i_site.mlflow_connector.types import ModelVersion, number

slugs = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,30}", fullmatch=True)


@given(st.sampled_from(naming.AGENT_TYPES), slugs)
def test_experiment_names_are_read_back(agent: str, slug: str) -> None:
    made = naming.experiment_name(agent, slug)
    assert made == f"e2i_{agent}_{slug}"
    assert naming.experiment_name(agent, made) == made
    if not slug.startswith("e2i_"):
        assert naming.conforms(made) == naming.ExperimentName(agent, slug)


@given(slugs, st.sampled_from(["lightgbm", "xgboost"]))
def test_model_names_have_one_prefix(slug: str, algorithm: str) -> None:
    made = naming.model_name(slug, algorithm)
    assert made.startswith("e2i_")
    assert naming.model_name(f"e2i_{slug.removeprefix('e2i_')}", algorithm) == made


@pytest.mark.parametrize(
    "name", ["Default", "e2i_trainer_x", "e2i_model_trainer_", "e2i_model_trainer_e2i_x", "E2I_x"]
)
def test_other_names_do_not_conform(name: str) -> None:
    assert naming.conforms(name) is None


@pytest.mark.parametrize(("agent", "slug"), [("trainer", "x"), ("model_trainer", "a b")])
def test_bad_parts_are_refused(agent: str, slug: str) -> None:
    with pytest.raises(InvalidInput):
        naming.experiment_name(agent, slug)


@pytest.mark.parametrize(
    "key", ["password", "db_password", "apiKey", "API_KEY", "MLFLOW_TRACKING_TOKEN", "secret"]
)
def test_secret_keys(key: str) -> None:
    assert masking.is_secret(key)
    assert masking.mask({"deep": [{key: "hunter2"}]}) == {"deep": [{key: "***"}]}


@pytest.mark.parametrize("key", ["max_tokens", "tokenizer", "keyboard", "primary_key", "author"])
def test_other_keys_are_no_secrets(key: str) -> None:
    assert not masking.is_secret(key)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:hunter2@host/db",
        "password=hunter2 host=x",
        '{"api_key": "hunter2"}',
        "Authorization: Bearer hunter2hunter2",
    ],
)
def test_secrets_in_texts(text: str) -> None:
    assert "hunter2" not in masking.mask_text(text)
    assert "hunter2" not in str(masking.mask({"note": text}))


@given(st.text(min_size=1, max_size=400))
def test_keys_become_legal(name: str) -> None:
    try:
        made = params.key(name)
    except InvalidInput:
        return
    assert 0 < len(made) <= params.KEY_LENGTH
    assert not params._BAD_CHARACTERS.search(made)
    assert not made.startswith(("/", ".."))


def test_long_keys_stay_apart() -> None:
    assert params.key("x" * 300 + "a") != params.key("x" * 300 + "b")


@given(st.lists(st.text(max_size=3000), max_size=300))
def test_batches_keep_order_and_limits(values: list[str]) -> None:
    items = [{"key": str(index), "value": value} for index, value in enumerate(values)]
    made = list(params.batches(items, 100))
    assert [item for batch in made for item in batch] == items
    assert all(0 < len(batch) <= 100 for batch in made)
    assert all(len(json.dumps(batch)) <= 1_000_000 for batch in made)


def test_metrics_must_be_numbers() -> None:
    with pytest.raises(InvalidInput, match="'auc'"):
        params.metrics({"auc": "high"})


@given(st.floats())
def test_metrics_travel_as_mlflow_wants(value: float) -> None:
    wire = params.wire_number(value)
    json.dumps(wire, allow_nan=False)
    sent = {"NaN": math.nan, "Infinity": 1.7976931348623157e308}.get(str(wire), wire)
    back = number(-1.7976931348623157e308 if wire == "-Infinity" else sent)
    if abs(value) < 1.7e308:
        assert back == value
    else:
        assert math.isnan(back) if math.isnan(value) else math.isinf(back)


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "a/%2e%2e/x", "a\\..\\x", "a\0b", ""]
)
def test_paths_that_climb_are_refused(path: str) -> None:
    with pytest.raises(Rejected):
        artifacts.safe(path)


def test_model_id_of_a_version() -> None:
    data = {"name": "n", "version": "1"}
    assert ModelVersion.parse({**data, "source": "models:/m-abc"}).model_id == "m-abc"
    assert ModelVersion.parse({**data, "source": "models:/other/3"}).model_id is None
    assert ModelVersion.parse({**data, "source": "s3://m-abc"}).model_id is None


def test_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        (folder / "sub").mkdir(parents=True)
        (folder / "MLmodel").write_text("x")
        (folder / "sub" / "w").write_bytes(b"y")
    (second / "registered_model_meta").write_text("written by MLflow on download")
    (second / "empty").mkdir()
    assert models.digest(first) == models.digest(second)
    (second / "sub" / "w").write_bytes(b"z")
    changed = models.digest(second)
    assert changed != models.digest(first)
    (first / "sub" / "w").rename(first / "w")
    assert models.digest(first) not in (changed, models.digest(second))


@pytest.mark.parametrize("content", [None, "- a list", "signature: {inputs: '{'}", "a: [", "5"])
def test_a_model_file_that_cannot_be_read_says_so(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "MLmodel").write_text(content)
    with pytest.raises(InvalidInput, match="MLmodel"):
        models.read_signature(tmp_path)


def test_digest_refuses_links_and_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no files"):
        models.digest(tmp_path)
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(InvalidInput, match="symbolic link"):
        models.digest(tmp_path)


def test_importing_the_connector_does_not_import_mlflow() -> None:
    code = "import sys, e2i_site.mlflow_connector; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
