from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from training.pipeline.data import Dataset, Target, build
from training.pipeline.splits import Strategy, split
from training.pipeline.trainer.qc import MINIMUM_SCORE, WEIGHTS, Quality, assess

ROWS = 400


def frame(**columns: object) -> pd.DataFrame:
    generator = np.random.default_rng(3)
    a = generator.normal(size=ROWS)
    y = (a + generator.normal(size=ROWS) > 0).astype(int)
    return pd.DataFrame({"a": a, "b": generator.normal(size=ROWS), "y": y, **columns})


def judge(table: pd.DataFrame, **options: object) -> Quality:
    data = build("t", table, Target("y"), **options)
    return assess(data, split(data))


def test_clean_data_passes_with_weights_renormalised(cancer: Dataset) -> None:
    quality = assess(cancer, split(cancer))
    assert quality.passed
    assert quality.score == 1.0
    assert quality.dimensions["timeliness"].score is None


def test_the_score_is_the_weighted_mean_of_what_applies() -> None:
    table = frame()
    table.loc[: ROWS // 2 - 1, "b"] = np.nan
    quality = judge(table)
    applying = {name: d.score for name, d in quality.dimensions.items() if d.score is not None}
    expected = sum(WEIGHTS[n] * s for n, s in applying.items()) / sum(WEIGHTS[n] for n in applying)
    assert quality.score == pytest.approx(expected)
    assert quality.dimensions["completeness"].score == pytest.approx(0.75)


def test_poor_data_blocks() -> None:
    table = frame(c=np.nan, d=np.nan, e=1.0, f="x")
    table.loc[:380, ["a", "b"]] = np.nan
    quality = judge(table)
    assert quality.score is not None and quality.score < MINIMUM_SCORE
    assert any("is required" in reason for reason in quality.blocking)


@pytest.mark.parametrize("name", ["copy", "text", "shifted"])
def test_a_feature_that_gives_the_target_away_blocks(name: str) -> None:
    table = frame()
    leak = {
        "copy": table["y"].astype(float),
        "text": table["y"].map({0: "no", 1: "yes"}),
        "shifted": table["y"] * 3 + np.random.default_rng(0).normal(scale=0.1, size=ROWS),
    }[name]
    quality = judge(table.assign(leak=leak))
    assert [reason for reason in quality.blocking if "leak gives the target away" in reason]
    assert not [reason for reason in quality.blocking if "Feature a" in reason]


def test_a_leak_into_numbers_is_found() -> None:
    generator = np.random.default_rng(3)
    y = generator.normal(size=ROWS)
    table = pd.DataFrame({"leak": np.exp(y), "fair": y + generator.normal(size=ROWS), "y": y})
    blocking = judge(table).blocking
    assert len(blocking) == 1
    assert "leak" in blocking[0]


def test_rows_shared_between_splits_block(randhie: Dataset) -> None:
    careless = assess(randhie, split(randhie, Strategy.STRATIFIED))
    assert any("same features as a row in another split" in r for r in careless.blocking)
    assert assess(randhie, split(randhie)).passed


def test_odd_values_lower_their_dimension() -> None:
    colour = np.array(["red"] * ROWS, dtype=object)
    colour[: ROWS // 4] = "Red "
    colour[-5:] = "12"
    table = frame(colour=colour)
    table.loc[:9, "b"] = np.inf
    dimensions = judge(table).dimensions
    assert dimensions["validity"].score == pytest.approx(1 - 10 / (3 * ROWS))
    assert dimensions["consistency"].score == pytest.approx(1 - ROWS / (3 * ROWS))


@pytest.mark.parametrize("value", [np.inf, -1e39])
def test_a_number_that_no_estimator_takes_blocks_by_name(value: float) -> None:
    table = frame()
    table.loc[7, "b"] = value
    (reason,) = judge(table).blocking
    assert reason.startswith("Feature b is infinite or beyond ±3.4e+38 in 1 rows")


def test_groups_that_a_split_by_time_cuts_are_told() -> None:
    days = pd.date_range("2026-01-01", periods=ROWS, freq="h")
    table = frame(day=days, person=np.arange(ROWS) % 50)
    found = judge(table, time_column="day", group_columns=("person",))
    assert found.passed
    assert f"{ROWS} rows belong to a group (person)" in found.warnings[-1]
    assert not judge(table.drop(columns="day"), group_columns=("person",)).warnings


def test_old_data_is_not_timely() -> None:
    now = datetime(2025, 6, 1, tzinfo=UTC)
    days = [now - timedelta(days=300 + i % 90, hours=i) for i in range(ROWS)]
    data = build("t", frame(day=days), Target("y"), time_column="day")
    found = assess(data, split(data), now=now).dimensions["timeliness"]
    assert found.score == pytest.approx((365 - 300) / 335)
    assert "300 days" in found.detail
