"""Bodies become model input as MLflow's scoring server reads them; mistakes name the column."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.models import infer_signature
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from mlflow.types import Schema

from deployments.gateway.columns import BadRequest, convert
from deployments.gateway.protocol import (
    CSV,
    JSON,
    UnsupportedMediaType,
    format_predictions,
    parse,
)
from deployments.gateway.signature import PLAIN, Column, Signature, Tensor

FRAME = pd.DataFrame(
    {
        "age": [30.5, 61.0],
        "visits": np.array([2, 0], dtype="int64"),
        "plan": ["free", "family"],
        "smoker": [True, False],
        "since": np.array(["2024-01-02T03:04:05", "2025-06-07T08:09:10"], dtype="datetime64[ns]"),
    }
)
MLFLOW = infer_signature(FRAME)
SIGNATURE = Signature.from_mlmodel({"signature": MLFLOW.to_dict()})
ROWS = [
    [30.5, 2, "free", True, "2024-01-02T03:04:05"],
    [61, 0, "family", False, "2025-06-07T08:09:10"],
]
COLUMNS = list(FRAME.columns)
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]

BODIES: dict[str, Any] = {
    "dataframe_split": {"columns": COLUMNS, "data": ROWS},
    "dataframe_records": RECORDS,
    "instances": RECORDS,
    "inputs": {name: [row[name] for row in RECORDS] for name in COLUMNS},
}


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("form", BODIES)
def test_every_form_gives_the_same_frame(form: str) -> None:
    given = parse(body({form: BODIES[form]}), JSON, SIGNATURE)
    pd.testing.assert_frame_equal(given.data, FRAME)
    assert given.checked


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records"])
def test_frames_are_those_of_mlflows_own_server(form: str) -> None:
    schema: Schema = MLFLOW.inputs
    theirs = infer_and_parse_data({form: BODIES[form]}, schema)
    ours = parse(body({form: BODIES[form]}), JSON, SIGNATURE).data
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)


def test_csv_gives_the_same_frame() -> None:
    given = parse(FRAME.to_csv(index=False).encode(), "text/csv; charset=utf-8", SIGNATURE)
    pd.testing.assert_frame_equal(given.data, FRAME)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "The input has no rows."),
        ("a,b\n1,2,\n", "A line has more values than the header has names."),
        ("a,b\n1,2,3\n", "A line has more values than the header has names."),
    ],
)
def test_csv_without_rows_or_with_values_that_have_no_name_is_refused(
    text: str, message: str
) -> None:
    signature = Signature((Column("a", "double"), Column("b", "double")))
    with pytest.raises(BadRequest) as error:
        parse(text.encode(), CSV, signature)
    assert str(error.value) == message


def test_columns_are_put_in_order_and_unknown_ones_left_out() -> None:
    record = {"extra": 1, **dict(reversed(RECORDS[0].items()))}
    given = parse(body({"dataframe_records": [record]}), JSON, SIGNATURE)
    assert list(given.data.columns) == COLUMNS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": "old"}, "Column 'age', row 1: 'old' is not a number (double)."),
        ({"age": True}, "Column 'age', row 1: True is not a number (double)."),
        ({"visits": 1.5}, "Column 'visits', row 1: 1.5 is not a whole number."),
        ({"visits": None}, "Column 'visits', row 1: must not be null."),
        ({"visits": 2**70}, "Column 'visits': a number is outside the range of long."),
        ({"plan": 3}, "Column 'plan', row 1: 3 is not a string."),
        ({"smoker": 1}, "Column 'smoker', row 1: 1 is not true or false."),
        ({"since": "soon"}, "Column 'since', row 1: 'soon' is not a date and time (ISO 8601)."),
        (
            {"since": "9999-12-31"},
            "Column 'since', row 1: '9999-12-31' is outside the range of dates (1677 to 2262).",
        ),
        (
            {"age": "9" * 400},
            f"Column 'age', row 1: '{'9' * 56}... is not a number (double).",
        ),
        ({"age": [1, 2]}, "Column 'age', row 1: a list is not a number (double)."),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as error:
        parse(body({"dataframe_records": [RECORDS[0], RECORDS[1] | change]}), JSON, SIGNATURE)
    assert str(error.value) == message


@pytest.mark.parametrize("kind", ["float", "tensor"])
def test_a_number_too_large_for_single_precision_is_the_callers(kind: str) -> None:
    columns = Signature((Column("a", "float"),))
    tensor = Signature(tensor=Tensor("float32", (-1, 1)))
    with pytest.raises(BadRequest, match="range"):
        parse(body({"inputs": [[1e300]]}), JSON, columns if kind == "float" else tensor)


@pytest.mark.parametrize("text", ["é", "YWJj=YWJj", "abc"])
def test_text_that_is_not_base64_is_named(text: str) -> None:
    with pytest.raises(BadRequest, match="Column 'a', row 0: is not base64"):
        parse(body({"inputs": {"a": [text]}}), JSON, Signature((Column("a", "binary"),)))


def test_missing_columns_are_named() -> None:
    with pytest.raises(BadRequest, match="Column missing: 'visits', 'plan', 'smoker', 'since'"):
        parse(body({"inputs": {"age": [1.0]}}), JSON, SIGNATURE)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"rows": []},
        {"inputs": {}, "instances": []},
        {"dataframe_split": []},
        {"dataframe_split": {"columns": COLUMNS, "data": [[1]]}},
        {"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": COLUMNS, "data": ROWS, "dtype": "x"}},
        {"dataframe_records": {"age": 1}},
        {"dataframe_records": [1]},
        {"inputs": {"age": [1], "visits": [1, 2]}},
        {"inputs": "text"},
        {"inputs": []},
        {"dataframe_records": []},
        {"dataframe_split": {"columns": COLUMNS, "data": []}},
        {"dataframe_records": RECORDS, "params": {"temperature": 1}},
    ],
)
def test_documents_of_another_form_are_refused(document: Any) -> None:
    with pytest.raises(BadRequest):
        parse(body(document), JSON, SIGNATURE)


@pytest.mark.parametrize("raw", [b"", b" ", b"{", b'"text"', b"\xff\xfe", b'{"inputs": NaN}'])
def test_bodies_that_are_not_json_are_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(raw, JSON, SIGNATURE)


@pytest.mark.parametrize("kind", ["", "text/html", "application/json; charset=latin-1"])
def test_other_media_types_are_refused(kind: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        parse(b"{}", kind, SIGNATURE)


@given(
    raw=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from([*BODIES, *COLUMNS]), inner)
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode()),
    kind=st.sampled_from([JSON, CSV]),
)
def test_no_body_makes_the_gateway_itself_fail(raw: bytes, kind: str) -> None:
    for signature in (SIGNATURE, Signature(), Signature(tensor=Tensor("float32", (-1, 2)))):
        try:
            parse(raw, kind, signature)
        except BadRequest as error:
            assert str(error)


CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.text("0123456789e+-.:TZ/", max_size=20)
    | st.integers(1, 5000).map(lambda digits: "9" * digits)
    | st.datetimes(timezones=st.none() | st.timezones()).map(lambda moment: moment.isoformat())
    | st.binary(max_size=9).map(lambda raw: base64.b64encode(raw).decode())
    | st.sampled_from(["NaT", "now", "nan", "-inf", "1e999", "0001-01-01T00:00:00+14:00"])
    | st.recursive(st.none(), st.lists, max_leaves=3)
    | st.dictionaries(st.text(max_size=3), st.none(), max_size=2)
)


@settings(max_examples=300)
@given(
    kind=st.sampled_from(sorted({*PLAIN, "any"})),
    required=st.booleans(),
    values=st.lists(CELLS, max_size=4),
)
def test_any_values_make_a_column_or_the_callers_mistake(
    kind: str, required: bool, values: list[Any]
) -> None:
    column = Column("some name", kind, required)
    try:
        assert len(convert(values, column)) == len(values)
    except BadRequest as error:
        assert "'some name'" in str(error)


@pytest.mark.parametrize("form", ["columns", "data"])
def test_values_nested_too_deeply_to_be_written_are_the_callers(form: str) -> None:
    deep = "[" * 1000 + "]" * 1000
    split = {"columns": ["a"], "data": [["DEEP"]]}
    split[form] = ["DEEP"] if form == "columns" else [["DEEP"]]
    raw = body({"dataframe_split": split}).replace(b'"DEEP"', deep.encode())
    with pytest.raises(BadRequest):
        parse(raw, JSON, Signature((Column("a", "double"),)))


@given(
    st.lists(
        st.lists(
            st.floats(allow_nan=False, allow_infinity=False) | st.none(), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_quick_way_for_numbers_equals_the_careful_one(rows: list[list[float | None]]) -> None:
    names = ["a", "b", "c"]
    doubles = Signature(tuple(Column(name, "double") for name in names))
    document = body({"dataframe_split": {"columns": names, "data": rows}})
    shuffled = body(
        {"dataframe_records": [{"z": 0, **dict(zip(names, row, strict=True))} for row in rows]}
    )
    pd.testing.assert_frame_equal(
        parse(document, JSON, doubles).data, parse(shuffled, JSON, doubles).data
    )


class TestTensors:
    signature = Signature(tensor=Tensor("float32", (-1, 2)))

    def test_arrays_of_the_right_shape(self) -> None:
        given = parse(body({"inputs": [[1, 2], [3, 4]]}), JSON, self.signature)
        assert given.data.dtype == np.float32
        assert given.data.shape == (2, 2)

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(BadRequest, match="shape"):
            parse(body({"inputs": [[1, 2, 3]]}), JSON, self.signature)

    def test_no_rows_are_refused(self) -> None:
        empty = {"dataframe_split": {"columns": ["a", "b"], "data": []}}
        with pytest.raises(BadRequest, match="no rows"):
            parse(body(empty), JSON, self.signature)


def test_optional_columns_may_be_absent_or_null() -> None:
    signature = Signature((Column("a", "long"), Column("b", "long", required=False)))
    absent = parse(body({"inputs": {"a": [1]}}), JSON, signature)
    assert not absent.checked
    null = parse(body({"inputs": {"a": [1], "b": [None]}}), JSON, signature)
    assert np.isnan(null.data["b"][0])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (np.array([1, 0]), [1, 0]),
        (np.array([0.5, np.nan]), [0.5, None]),
        (np.array(["yes", "no"]), ["yes", "no"]),
        (pd.Series([1.5], name="y"), [{"y": 1.5}]),
        (pd.DataFrame({"p": [0.25]}), [{"p": 0.25}]),
        ([np.int64(3)], [3]),
        ({"mean": np.float32(0.5)}, {"mean": 0.5}),
    ],
)
def test_predictions_as_json(answer: Any, expected: Any) -> None:
    assert json.loads(format_predictions(answer)) == {"predictions": expected}


def test_an_answer_without_a_json_form_is_the_models_fault() -> None:
    with pytest.raises(TypeError, match="JSON"):
        format_predictions([object()])
