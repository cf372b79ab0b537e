from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2i_site.core.errors import InvalidInput
from training.pipeline.data import Dataset, Target, build, content_digest, load_file
from training.pipeline.files import read_table
from training.pipeline.types import Problem

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": list("xyxy"), "y": [0, 1, 0, 1]})


@pytest.mark.parametrize(
    ("text", "label", "shown"),
    [
        ("visits", "visits", "visits"),
        ("visits > 0", "visits > 0", "visits > 0"),
        ("any_visit = visits > 0", "any_visit", "any_visit = visits > 0"),
        ("y=cost <= -1.5", "y", "y = cost <= -1.5"),
    ],
)
def test_targets_are_columns_or_rules(text: str, label: str, shown: str) -> None:
    target = Target.parse(text)
    assert target.label == label
    assert str(target) == shown
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize("text", ["", "a = b", "> 3", "a > b", "a > 1 > 2"])
def test_a_target_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not understood"):
        Target.parse(text)


def test_the_column_a_target_is_made_from_is_no_feature(randhie: Dataset) -> None:
    assert "mdvis" not in randhie.features
    assert "mdvis" not in randhie.frame
    assert randhie.y.mean() == pytest.approx(0.688, abs=0.001)
    assert len(randhie) == 20_190


def test_rows_with_equal_features_are_one_group(randhie: Dataset) -> None:
    assert randhie.is_grouped
    assert len(np.unique(randhie.groups)) == len(randhie.X.drop_duplicates())


def test_problem_types_are_told_apart() -> None:
    assert build("f", FRAME, Target("y")).problem is Problem.BINARY
    assert build("f", FRAME, Target("b")).classes == ("x", "y")
    many = FRAME.assign(y=[0.1, 0.2, 0.3, 0.4])
    assert build("f", many, Target("y")).problem is Problem.REGRESSION
    three = FRAME.assign(y=["u", "v", "w", "w"])
    assert build("f", three, Target("y")).problem is Problem.MULTICLASS


@pytest.mark.parametrize(
    ("frame", "target", "words"),
    [
        (FRAME, "z", "no column 'z'"),
        (FRAME.assign(y=[1, 1, 1, 1]), "y", "one value only"),
        (FRAME.assign(y=[1, 0, None, 1]), "y", "empty in 1 of 4 rows"),
        (FRAME, "b > 1", "holds text"),
        (FRAME.iloc[:0], "y", "no rows"),
        (FRAME[["y"]], "y", "no column can serve as a feature"),
        (FRAME.assign(c=[[1], [2], [], None]), "y", "'c' holds lists"),
    ],
)
def test_bad_tables_are_refused_by_name(frame: pd.DataFrame, target: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        build("f", frame, Target.parse(target))


def test_two_values_are_no_multiclass_target() -> None:
    with pytest.raises(InvalidInput, match="three values or more"):
        build("f", FRAME, Target("y"), problem=Problem.MULTICLASS)


@pytest.mark.parametrize("roles", [{"time_column": "y"}, {"group_columns": ("y",)}])
def test_the_target_neither_orders_nor_groups_the_rows(roles: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="'y' is the target"):
        build("f", FRAME, Target("y"), **roles)


def test_rows_without_a_time_have_no_place_in_the_order() -> None:
    days = ["2024-01-02", None, "2024-01-01", "2024-01-03"]
    with pytest.raises(InvalidInput, match="time column 'day' is empty in 1 of 4 rows"):
        build("f", FRAME.assign(day=days), Target("y"), time_column="day")


def test_what_parquet_holds_becomes_numbers_text_and_moments(tmp_path: Path) -> None:
    frame = FRAME.assign(
        price=[Decimal("1.50"), Decimal(2), None, Decimal(3)],
        day=[date(2024, 1, 1), date(2024, 1, 2), None, date(9999, 12, 31)],
        wait=pd.to_timedelta([1, 2, 3, None], unit="s"),
        account=[10**25, 10**25 + 1, 3, None],
    )
    frame.drop(columns="account").to_parquet(tmp_path / "f.parquet")
    table = read_table(tmp_path / "f.parquet").assign(account=frame["account"])
    data = build("f", table, Target("y"))
    kinds = {column.name: column.kind for column in data.schema}
    assert kinds == {
        "a": "number",
        "b": "category",
        "price": "number",
        "day": "time",
        "wait": "number",
        "account": "category",
    }
    assert data.frame["price"].tolist()[:2] == [1.5, 2.0]
    assert data.frame["wait"].tolist()[:3] == [1.0, 2.0, 3.0]
    assert data.frame["account"].tolist()[:3] == [str(10**25), str(10**25 + 1), "3"]


def test_files_give_the_same_digest_in_either_format(tmp_path) -> None:
    FRAME.to_csv(tmp_path / "f.csv", index=False)
    FRAME.to_parquet(tmp_path / "f.parquet")
    csv = load_file("f", tmp_path / "f.csv", Target("y"))
    parquet = load_file("f", tmp_path / "f.parquet", Target("y"))
    assert csv.digest == parquet.digest


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("f.csv", "a,a,y\n1,2,3\n", "names a twice"),
        ("f.csv", "\ufeffa,a,y\n1,2,3\n", "names a twice"),
        ("f.csv", "y,a,b\n0,1,2,3\n1,3,4,5\n", "more values than its header has names"),
        ("f.csv", "", "cannot be read"),
        ("f.parquet", "not parquet", "cannot be read"),
        ("f.txt", "a\n", "only .csv and .parquet"),
    ],
)
def test_bad_files_are_refused(tmp_path, name: str, content: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InvalidInput, match=words):
        load_file("f", path, Target("y"))


def test_commas_at_the_ends_of_lines_move_no_value(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("y,a,b\n0,1,2,\n1,3,4,\n")
    table = read_table(tmp_path / "f.csv")
    assert table.to_dict("list") == {"y": [0, 1], "a": [1, 3], "b": [2, 4]}


@pytest.mark.parametrize(("first", "kind"), [(0, "identifier"), (7, "number")])
def test_row_numbers_that_pandas_wrote_are_no_feature(
    tmp_path: Path, first: int, kind: str
) -> None:
    FRAME.set_index(pd.RangeIndex(first, first + 4)).to_csv(tmp_path / "f.csv")
    data = load_file("f", tmp_path / "f.csv", Target("y"))
    assert data.schema[0].kind == kind
    assert ("Unnamed: 0" in data.features) == (kind == "number")


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(InvalidInput, match=r"nothing\.csv: there is no such file"):
        load_file("f", tmp_path / "nothing.csv", Target("y"))


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20),
    st.integers(0, 19),
)
def test_another_value_is_another_digest(values: list[float], place: int) -> None:
    column = pd.Series(values, name="a")
    changed = column.copy()
    place %= len(values)
    changed[place] = 1.0 if np.isnan(values[place]) else np.nan
    assert content_digest([column]) == content_digest([column.copy()])
    assert content_digest([column]) != content_digest([changed])
    assert content_digest([column]) != content_digest([column.rename("b")])
