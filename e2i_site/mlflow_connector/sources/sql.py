"""Runs and logged models straight from MLflow's SQL tables: one consistent picture, read fast.

The tables are private to MLflow, so only schema versions that were tried are read, and only when
they hold the experiments that the server shows. Nothing is ever written. PostgreSQL gives one
REPEATABLE READ snapshot; of SQLite a copy is read, so that MLflow is never kept from writing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol, TypeVar

import orjson

from e2i_site.core.errors import E2IError
from e2i_site.mlflow_connector.sources.base import (
    Failure,
    Page,
    Prepare,
    RunRecord,
    Slice,
    record_of,
)
from e2i_site.mlflow_connector.types import (
    Dataset,
    Experiment,
    LoggedModel,
    Run,
    in_order,
    moment,
    number,
)

#: Schema versions (alembic_version) that were tried, and MLflow's versions that have them.
KNOWN_SCHEMAS = {"dc11669786a5": "3.17"}
CHUNK = 2000
LARGEST_GROUP = 500
#: Characters of params, tags and metrics that are in memory for one page.
PAGE_CHARACTERS = 8_000_000
_RUNS = (
    "SELECT r.run_uuid, r.experiment_id, r.name, r.status, r.lifecycle_stage, r.start_time,"
    " r.end_time, r.artifact_uri, r.user_id, {params}, {tags}, {metrics} FROM runs r"
)
_OBJECT = "CAST((SELECT {object}(key, {value}) FROM {table} WHERE run_uuid = r.run_uuid) AS TEXT)"
_MODELS = (
    "SELECT model_id, experiment_id, name, status, source_run_id, artifact_location,"
    " creation_timestamp_ms, last_updated_timestamp_ms, model_type FROM logged_models"
)
_MODEL_STATUS = {0: "UNSPECIFIED", 1: "PENDING", 2: "READY", 3: "UPLOAD_FAILED"}
Row = tuple[Any, ...]
Item = TypeVar("Item")


class StoreUnusable(E2IError):
    """MLflow's SQL store cannot be read; the REST API can."""


class Database(Protocol):
    """A read-only view of the store that does not change while it is open.

    Attributes:
        object: SQL's aggregate of names and values into a JSON object.
    """

    object: str

    def rows(self, sql: str, *parameters: Any) -> Iterator[Row]:
        """Rows of a query whose parameters are written `?`."""

    def among(self, column: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """A condition that the column is one of the values, and its parameters."""

    def close(self) -> None: ...


def open_store(uri: str, experiments: Iterable[Experiment]) -> SqlSource:
    """The source for a store's URI, as MLflow takes it, checked against the server's experiments.

    Raises:
        StoreUnusable: says why not.
    """
    from e2i_site.mlflow_connector.sources.databases import open_database

    database = open_database(uri)
    try:
        _check(database, list(experiments))
    except BaseException:
        database.close()
        raise
    return SqlSource(database)


def _check(database: Database, experiments: list[Experiment]) -> None:
    found = ", ".join(
        str(row[0]) for row in database.rows("SELECT version_num FROM alembic_version")
    )
    if found not in KNOWN_SCHEMAS:
        known = ", ".join(f"{key} (MLflow {value})" for key, value in KNOWN_SCHEMAS.items())
        raise StoreUnusable(
            f"its schema version {found or '(none)'} is not one that E2I knows: {known}"
        )
    stored = {
        str(row[0]): moment(row[1])
        for row in database.rows("SELECT experiment_id, creation_time FROM experiments")
    }
    for each in experiments:
        if stored.get(each.experiment_id, ...) != each.created_at:
            raise StoreUnusable(
                f"it is not the store of the server at MLFLOW_TRACKING_URI: experiment "
                f"{each.experiment_id} is not the same in both"
            )


class SqlSource:
    """Reads one slice after the other, each by start time. One for one sync."""

    name = "sql"

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        self._database.close()

    def group(self, experiments: int) -> int:
        # Rows lie in the tables about as they came, whatever their experiment.
        return LARGEST_GROUP

    def count(self) -> int | None:
        (row,) = self._database.rows("SELECT count(*) FROM runs")
        return int(row[0])

    def runs(
        self, slices: Iterable[Slice], prepare: Prepare | None = None
    ) -> Iterator[Page | Failure]:
        return ahead(page for each in slices for page in self._slice(each, prepare))

    def _slice(self, some: Slice, prepare: Prepare | None) -> Iterator[Page | Failure]:
        """Pages of one slice; each tells the start time at which the next one begins."""
        numbers = [int(each) for each in some.experiment_ids]
        condition, parameters = self._database.among("r.experiment_id", numbers)
        if some.since is not None:
            condition, parameters = f"{condition} AND r.start_time >= ?", [*parameters, some.since]
        rows = self._database.rows(
            f"{self._query} WHERE {condition} ORDER BY coalesce(r.start_time, 0), r.run_uuid",
            *parameters,
        )
        batches = _batches(rows)
        low, read = some.since, 0
        carried: dict[str, int] = {}
        batch = next(batches, [])
        while True:
            following = next(batches, [])
            records = self._records(batch)
            if prepare:
                prepare(records)
            read += len(records)
            high = int(following[0][5] or 0) if following else None
            starts = carried | {each.run.run_id: each.run.start_ms for each in records}
            yield Page(some, records, frozenset(starts), low, high)
            if high is None or (some.limit is not None and read >= some.limit):
                return
            # The next page begins at a start time that runs of this one may have, too.
            carried = {run_id: start for run_id, start in starts.items() if start == high}
            low, batch = high, following

    @property
    def _query(self) -> str:
        """All of a run in one row: the database puts together what belongs to it."""
        value = {"latest_metrics": "CASE WHEN is_nan THEN 'NaN' ELSE value END"}
        params, tags, metrics = (
            _OBJECT.format(
                object=self._database.object, table=table, value=value.get(table, "value")
            )
            for table in ("params", "tags", "latest_metrics")
        )
        return _RUNS.format(params=params, tags=tags, metrics=metrics)

    def _records(self, rows: list[Row]) -> list[RunRecord]:
        ids = [row[0] for row in rows]
        datasets = self._datasets(ids)
        outputs = self._outputs(ids)
        return [record_of(_run(row, datasets, outputs)) for row in rows]

    def _datasets(self, ids: list[str]) -> dict[str, list[Dataset]]:
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        joined = (
            "FROM inputs i JOIN {} WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN'"
        )
        of_tags = joined.format("input_tags t ON t.input_uuid = i.input_uuid")
        columns = f"i.input_uuid, t.name, t.value {of_tags}"
        for input_id, key, value in self._of(columns, "i.destination_id", ids):
            tags[input_id][key] = _text(value)
        found: dict[str, list[Dataset]] = defaultdict(list)
        columns = "i.destination_id, i.input_uuid, d.name, d.digest, d.dataset_source_type, "
        columns += f"d.dataset_source {joined.format('datasets d ON d.dataset_uuid = i.source_id')}"
        for run_id, input_id, *texts in self._of(columns, "i.destination_id", ids):
            name, digest, source_type, source = map(_text, texts)
            found[run_id].append(Dataset(name, digest, source_type, source, "", "", tags[input_id]))
        return found

    def _outputs(self, ids: list[str]) -> dict[str, list[str]]:
        found: dict[str, list[tuple[int, str]]] = defaultdict(list)
        columns = "source_id, destination_id, step FROM inputs WHERE source_type = 'RUN_OUTPUT'"
        columns += " AND destination_type = 'MODEL_OUTPUT'"
        for run_id, model_id, step in self._of(columns, "source_id", ids):
            found[run_id].append((int(step or 0), model_id))
        return {run_id: [each for _, each in sorted(some)] for run_id, some in found.items()}

    def _of(self, columns: str, column: str, ids: Sequence[Any], end: str = "") -> Iterator[Row]:
        """Rows of some table that belong to the ids."""
        if not ids:
            return iter(())
        condition, parameters = self._database.among(column, ids)
        word = "AND" if " WHERE " in columns else "WHERE"
        return self._database.rows(f"SELECT {columns} {word} {condition} {end}", *parameters)

    def logged_models(self, experiment_ids: list[str]) -> Iterator[LoggedModel]:
        condition, parameters = self._database.among(
            "experiment_id", [int(e) for e in experiment_ids]
        )
        rows = self._database.rows(
            f"{_MODELS} WHERE lifecycle_stage = 'active' AND {condition} ORDER BY model_id",
            *parameters,
        )
        while chunk := list(islice(rows, CHUNK)):
            ids = [row[0] for row in chunk]
            tags = self._model_pairs("tag", ids)
            params = self._model_pairs("param", ids)
            for row in chunk:
                yield LoggedModel(
                    model_id=row[0],
                    experiment_id=str(row[1]),
                    name=_text(row[2]),
                    status=_MODEL_STATUS.get(row[3], str(row[3])),
                    source_run_id=row[4] or "",
                    artifact_uri=_text(row[5]),
                    created_at=moment(row[6]),
                    updated_at=moment(row[7]),
                    tags=tags[row[0]],
                    params=params[row[0]],
                    model_type=_text(row[8]),
                )

    def _model_pairs(self, kind: str, ids: list[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = defaultdict(dict)
        columns = f"model_id, {kind}_key, {kind}_value FROM logged_model_{kind}s"
        for model_id, key, value in self._of(columns, "model_id", ids):
            found[model_id][key] = _text(value)
        return found


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows of runs, so many at a time that they fit into memory."""
    batch: list[Row] = []
    weight = 0
    for row in rows:
        batch.append(row)
        weight += sum(len(text) for text in row[9:] if text)
        if len(batch) >= CHUNK or weight >= PAGE_CHARACTERS:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def _run(row: Row, datasets: dict[str, list[Dataset]], outputs: dict[str, list[str]]) -> Run:
    run_id, experiment_id, name, status, stage, start, end, artifacts, user_id = row[:9]
    tags = _texts(row[10])
    return Run(
        run_id=run_id,
        experiment_id=str(experiment_id),
        name=_text(name) or tags.get("mlflow.runName", ""),
        status=status or "",
        lifecycle_stage=stage or "active",
        start_time=moment(start),
        end_time=moment(end),
        start_ms=int(start or 0),
        end_ms=int(end or 0),
        artifact_uri=artifacts or "",
        user_id=_text(user_id),
        params=_texts(row[9]),
        metrics={key: number(value) for key, value in orjson.loads(row[11] or "{}").items()},
        tags=tags,
        datasets=in_order(datasets.get(run_id, ())),
        model_outputs=tuple(outputs.get(run_id, ())),
    )


def _texts(content: str | None) -> dict[str, str]:
    """Params or tags, whose values are texts or missing."""
    if not content:
        return {}
    found: dict[str, Any] = orjson.loads(content)
    # As they are but for a NULL or a NUL, which no database of ours keeps.
    if set(map(type, found.values())) <= {str} and "\\u0000" not in content:
        return found
    return {key: _text(value) for key, value in found.items()}


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same, with the next one always being made in a thread of its own."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="mlflow-store") as pool:
        step: Callable[[], Any] = lambda: next(items, end)  # noqa: E731
        coming = pool.submit(step)
        while (item := coming.result()) is not end:
            coming = pool.submit(step)
            yield item


def _text(value: Any) -> str:
    """A text without NUL, which no database of ours keeps."""
    return str(value or "").replace("\0", "")
