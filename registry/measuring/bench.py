"""One version on the bench: its verified files, its test rows, and its answers on them."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2i_site.mlflow_connector import Unreachable, get_connector, models
from registry.measuring import probe
from registry.measuring.base import Impossible, find
from registry.models import RegistryEntry, TestPredictions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from registry.gates.needs import Want
    from training.models import TrainingRun
    from training.pipeline.arrays import Floats, Ints
    from training.pipeline.data import Dataset as Table

logger = logging.getLogger(__name__)

SERVE = "registry.measuring.steps:serve"
ANSWER_ROWS = "registry.measuring.steps:answer_rows"
REQUIREMENTS = "registry.measuring.steps:requirements"


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
        self._files: dict[int, tuple[Path, str]] = {}
        self._replies: dict[probe.Question, probe.Reply] = {}
        self.waited = 0.0

    def downloaded(self, entry: RegistryEntry) -> tuple[Path, str]:
        """The files of a version as MLflow hands them out, and the digest they have."""
        found = self._files.get(entry.pk)
        if found is None:
            folder = self._folder / f"model-{entry.pk}"
            uri = f"models:/{entry.model_id}/{entry.model_version}"
            get_connector().download_artifacts(uri, folder)
            found = self._files[entry.pk] = (folder, models.digest(folder))
        return found

    def files(self, entry: RegistryEntry) -> Path:
        """The files of a version, verified; raises `Impossible` for other bytes."""
        folder, digest = self.downloaded(entry)
        if digest != entry.artifact_digest:
            raise Impossible(
                f"MLflow's files of {entry} hash to {digest[:12]}…, recorded is "
                f"{entry.artifact_digest[:12]}…. Nothing of them was loaded."
            )
        return folder

    def prepare(self, wants: Iterable[Want]) -> None:
        """Ask everything that measuring `wants` takes, of all models in one start of a process."""
        asked: list[probe.Question] = []
        for want in wants:
            try:
                asked += find(want.kind).asks(self, want)
            except Unreachable:
                raise
            except Exception:
                # Measuring meets it again, and says so of this question alone.
                logger.debug("%s asks nothing", want.kind, exc_info=True)
        try:
            # Latency and memory first: nothing else has run in that process.
            found = probe.ask(sorted(asked, key=lambda each: each.step != SERVE))
        except probe.ProbeFailed:
            logger.exception("Nothing was learned of %s at once; each is asked alone", self.entry)
        else:
            self._replies |= found

    def reply(self, question: probe.Question) -> probe.Reply:
        """What the model said, or says now; `waited` sums the seconds that it took."""
        if question not in self._replies:
            self._replies |= probe.ask([question])
        found = self._replies[question]
        self.waited += found.seconds
        return found

    def question(self, step: str) -> probe.Question:
        """`step` of this version's own verified files."""
        entry = self.entry
        return probe.Question(self.files(entry), step, digest=entry.artifact_digest)

    def questions_about(self, *entries: RegistryEntry) -> list[probe.Question]:
        """What has to be asked for the `answers` of versions that were not kept."""
        return [self._rows_question(entry) for entry in entries if self._stored(entry) is None]

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
        import numpy as np

        question = self._rows_question(entry)
        reply = self.reply(question)
        if reply.problem:
            raise probe.ProbeFailed(f"{entry} does not answer its test rows: {reply.problem}")
        reply.require()
        answers: Floats = np.load(dict(question.given)["answers"], allow_pickle=False)
        self._keep(entry, answers)
        return answers

    def _rows_question(self, entry: RegistryEntry) -> probe.Question:
        given = {"rows": self._rows, "answers": self._folder / f"answers-{entry.pk}.npy"}
        pairs = tuple((name, str(path)) for name, path in given.items())
        return probe.Question(self.files(entry), ANSWER_ROWS, pairs, entry.artifact_digest)

    @cached_property
    def _rows(self) -> Path:
        """The test rows as a file, for the processes that answer them."""
        file = self._folder / "rows.parquet"
        self.examination.features.reset_index(drop=True).to_parquet(file)
        return file

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
            if answers.shape[1] != 1:
                raise Impossible(
                    f"{entry} answers with {answers.shape[1]} numbers a row, not with one."
                )
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
