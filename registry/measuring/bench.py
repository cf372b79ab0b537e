"""One version on the bench: its verified files, its test rows, and its answers on them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2i_site.mlflow_connector import get_connector, models
from registry.measuring import probe
from registry.measuring.base import Impossible
from registry.models import RegistryEntry, TestPredictions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from training.models import TrainingRun
    from training.pipeline.arrays import Floats, Ints
    from training.pipeline.data import Dataset as Table


@dataclass(frozen=True, eq=False)
class Examination:
    """The test rows of a data set: n rows of `frame`, their target, and what binds them.

    `groups` numbers rows that belong together, or is None where every row stands alone.
    """

    table: Table
    rows: Ints
    dataset_digest: str
    rows_digest: str

    @property
    def truth(self) -> np.ndarray:
        return self.table.labels(self.rows)

    @property
    def groups(self) -> Ints | None:
        return self.table.groups[self.rows] if self.table.is_grouped else None

    @property
    def features(self) -> pd.DataFrame:
        return self.table.take(self.rows)

    @property
    def columns(self) -> pd.DataFrame:
        """All columns of the test rows but the target."""
        return self.table.frame.iloc[self.rows]

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "dataset": self.table.name,
            "dataset_digest": self.dataset_digest,
            "test_rows_digest": self.rows_digest,
            "test_rows": len(self.rows),
        }


class Bench:
    """Everything that several kinds of measurement need of one version, made once.

    `folder` is a place of its own that somebody else removes.
    """

    def __init__(self, entry: RegistryEntry, folder: Path) -> None:
        self.entry = entry
        self._folder = folder
        self._files: dict[int, Path] = {}

    def downloaded(self, entry: RegistryEntry) -> tuple[Path, str]:
        """The files of a version as MLflow hands them out, and the digest they have."""
        folder = self._files.get(entry.pk)
        if folder is None:
            folder = self._folder / f"model-{entry.pk}"
            uri = f"models:/{entry.model_id}/{entry.model_version}"
            get_connector().download_artifacts(uri, folder)
            self._files[entry.pk] = folder
        return folder, models.digest(folder)

    def files(self, entry: RegistryEntry) -> Path:
        """The files of a version, verified; raises `Impossible` for other bytes."""
        folder, digest = self.downloaded(entry)
        if digest != entry.artifact_digest:
            raise Impossible(
                f"MLflow's files of {entry} hash to {digest[:12]}…, recorded is "
                f"{entry.artifact_digest[:12]}…. Nothing of them was loaded."
            )
        return folder

    @cached_property
    def probed(self) -> probe.Probed:
        """The version loaded in a process of its own: requirements, latency, memory, answers.

        Where its test rows are known, it is asked about them on the same occasion.
        """
        try:
            features = self.examination.features
        except Impossible:
            features = None
        return probe.run(self.files(self.entry), self._folder, features, measure=True)

    @cached_property
    def examination(self) -> Examination:
        """The test rows of this version's training."""
        return self._examination(self.entry)

    def answers(self, entry: RegistryEntry) -> Floats:
        """The answers of a version on this version's test rows, (n,) or (n, classes).

        For a binary problem the probability of the positive class.
        """
        stored = self._stored(entry)
        return self._of_problem(entry, self._asked(entry) if stored is None else stored)

    def _asked(self, entry: RegistryEntry) -> Floats:
        features = self.examination.features
        mine = entry.pk == self.entry.pk
        found = self.probed if mine else probe.run(self.files(entry), self._folder, features)
        if found.answers is None:
            why = found.report.get("load_error") or found.report.get("rows_error")
            raise probe.ProbeFailed(f"{entry} does not answer its test rows: {why}")
        self._keep(entry, found.answers)
        return found.answers

    def run_of(self, entry: RegistryEntry) -> TrainingRun:
        if entry.training_run is None:
            raise Impossible(f"{entry} has no run that is known here.")
        return entry.training_run

    def same_rows(self, other: RegistryEntry) -> bool:
        """Whether both versions were tested on the same rows of the same data set."""
        mine, theirs = self.run_of(self.entry), self.run_of(other)
        splits = [getattr(run, "split", None) for run in (mine, theirs)]
        return (
            mine.dataset is not None
            and theirs.dataset is not None
            and mine.dataset.digest == theirs.dataset.digest
            and None not in splits
            and splits[0].digests.get("test") == splits[1].digests.get("test")  # type: ignore[union-attr]
        )

    def _examination(self, entry: RegistryEntry) -> Examination:
        from training import datasets
        from training.pipeline import splits
        from training.pipeline.types import Split

        run = self.run_of(entry)
        split = getattr(run, "split", None)
        if run.dataset is None or split is None:
            raise Impossible(f"The data set or the split of {entry} was not recorded.")
        table = datasets.load(run.dataset)
        made = splits.split(table, splits.Strategy(split.strategy), split.seed)
        if made.digests["test"] != split.digests.get("test"):
            raise Impossible(
                f"Data set {run.dataset.name} now gives other test rows than in the training of "
                f"{entry}; nothing measured on them would be comparable."
            )
        return Examination(table, made[Split.TEST], run.dataset.digest, made.digests["test"])

    def _of_problem(self, entry: RegistryEntry, answers: Floats) -> Floats:
        from training.pipeline.types import Problem

        problem, classes = self.examination.table.problem, len(self.examination.table.classes)
        if problem is Problem.REGRESSION:
            return answers[:, 0]
        if answers.shape[1] != classes:
            raise Impossible(
                f"{entry} answers with {answers.shape[1]} numbers a row, not with one probability "
                f"for each of {classes} classes."
            )
        return answers[:, 1] if problem is Problem.BINARY else answers

    def _binding(self, entry: RegistryEntry) -> dict[str, str]:
        exam = self.examination
        return {
            "artifact_digest": entry.artifact_digest,
            "dataset_digest": exam.dataset_digest,
            "rows_digest": exam.rows_digest,
        }

    def _stored(self, entry: RegistryEntry) -> Floats | None:
        import numpy as np

        row = TestPredictions.objects.filter(**self._binding(entry)).first()
        if row is None:
            return None
        values = np.frombuffer(zlib.decompress(bytes(row.values)), dtype="<f8")
        return values.reshape(row.rows, row.columns)

    def _keep(self, entry: RegistryEntry, answers: Floats) -> None:
        TestPredictions.objects.get_or_create(
            **self._binding(entry),
            defaults={
                "rows": answers.shape[0],
                "columns": answers.shape[1],
                "values": zlib.compress(answers.astype("<f8").tobytes()),
            },
        )
