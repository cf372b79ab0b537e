"""What a source of runs gives: pages of records, and failures that end one slice only."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import orjson

from e2i_site.mlflow_connector.errors import MLflowError
from e2i_site.mlflow_connector.types import LoggedModel, Run


@dataclass(frozen=True, slots=True)
class Slice:
    """Runs of some experiments by start time: from `since` (ms, None: from the first) on.

    Attributes:
        limit: stop after about so many runs; None reads to the end.
        filter: MLflow's search expression, and `view` ACTIVE_ONLY, DELETED_ONLY or ALL: only
            these runs. The REST API alone can do that.
    """

    experiment_ids: tuple[str, ...]
    since: int | None = None
    limit: int | None = None
    filter: str = ""
    view: str = "ALL"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run, with its params, metrics and tags as canonical JSON, and a digest of all of it.

    The digest is the same whichever source the run came from. Metrics in `metrics` are numbers,
    or the texts NaN, Infinity and -Infinity, which JSON has no numbers for.
    """

    run: Run
    metrics: dict[str, float | str]
    params_json: str
    metrics_json: str
    tags_json: str
    digest: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some runs of a slice. It covers all starts from `low` on, and those before `high`.

    Attributes:
        records: runs that no page of this slice had before.
        ids: all runs that were read, those of the page before included.
        low: first start in ms; None is before all.
        high: last start in ms, which the next page has, too; None in the last page.
    """

    slice: Slice
    records: list[RunRecord]
    ids: frozenset[str]
    low: int | None
    high: int | None

    @property
    def is_last(self) -> bool:
        """True when the slice was read to the end of its experiments."""
        return self.high is None

    @property
    def is_whole(self) -> bool:
        """True when this one page is all that the experiments have."""
        return self.low is None and self.high is None


@dataclass(frozen=True, slots=True)
class Failure:
    """A slice could not be read from `since` on; what came before has been handed out."""

    slice: Slice
    since: int | None
    error: MLflowError


Prepare = Callable[[list[RunRecord]], None]


class Source(Protocol):
    """One way to read runs and logged models."""

    name: str

    def runs(
        self, slices: Iterable[Slice], prepare: Prepare | None = None
    ) -> Iterator[Page | Failure]:
        """Read the slices; pages of one slice come in order, those of several may mingle.

        `prepare` gets the records of each page first, in the thread that read them.
        """

    def group(self, experiments: int) -> int:
        """How many of so many experiments are best read together."""

    def logged_models(self, experiment_ids: list[str]) -> Iterator[LoggedModel]:
        """All logged models of the experiments that are not deleted."""

    def count(self) -> int | None:
        """How many runs there are, where that is cheap to know."""

    def close(self) -> None:
        """Let go of what it holds."""


def record_of(run: Run) -> RunRecord:
    """The run with its JSON texts and its digest."""
    metrics = {name: plain(value) for name, value in run.metrics.items()}
    params_json, metrics_json, tags_json = (
        orjson.dumps(each, option=orjson.OPT_SORT_KEYS) for each in (run.params, metrics, run.tags)
    )
    rest = orjson.dumps(
        [
            run.experiment_id,
            run.name,
            run.status,
            run.lifecycle_stage,
            run.start_ms,
            run.end_ms,
            run.user_id,
            [[each.name, each.digest, each.source_type, each.source, each.context]
             for each in run.datasets],
            run.model_outputs,
        ]
    )  # fmt: skip
    content = b"\0".join((rest, params_json, metrics_json, tags_json))
    return RunRecord(
        run,
        metrics,
        params_json.decode(),
        metrics_json.decode(),
        tags_json.decode(),
        hashlib.blake2b(content, digest_size=12).hexdigest(),
    )


def plain(value: float) -> float | str:
    """A metric as JSON holds it: NaN and infinity are texts."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
