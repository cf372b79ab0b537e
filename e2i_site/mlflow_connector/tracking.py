"""Run tracking: everything goes to the journal first, and to MLflow as soon as it answers."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Any

from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector import delivery, models, params
from e2i_site.mlflow_connector.artifacts import safe
from e2i_site.mlflow_connector.errors import Conflict, MLflowError, Unreachable
from e2i_site.mlflow_connector.journal import Journal, ReplayResult, Writer
from e2i_site.mlflow_connector.masking import mask, mask_text
from e2i_site.mlflow_connector.transport import single_attempt

if TYPE_CHECKING:
    from e2i_site.mlflow_connector.connector import MLflowConnector

logger = logging.getLogger(__name__)


def now_ms() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return int(time.time() * 1000)


class TrackedRun:
    """A run under way. No method fails because MLflow is away. Safe for threads."""

    def __init__(self, connector: MLflowConnector, journal: Journal) -> None:
        self.journal_id = journal.journal_id
        self._connector = connector
        self._journal = journal
        self._writer = Writer(journal)
        self._lock = threading.RLock()
        self._params: dict[str, str] = {}
        self._quiet_until = 0.0
        self._result = ReplayResult(journal.journal_id)

    @property
    def mlflow_run_id(self) -> str | None:
        """MLflow's id of the run; None until MLflow has it."""
        return self._result.run_id

    @property
    def mlflow_experiment_id(self) -> str | None:
        """MLflow's id of the experiment; None until MLflow has the run."""
        return self._result.experiment_id

    @property
    def model_uri(self) -> str | None:
        """`models:/m-…` of the logged model; None until MLflow has it."""
        return self._result.model_uri

    @property
    def model_version(self) -> str | None:
        """The registered version; None until MLflow has it."""
        return self._result.model_version

    @property
    def result(self) -> ReplayResult:
        """What MLflow has so far; `done` when it has everything and the run has ended."""
        return self._result

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Log parameters; lists and dicts as JSON. A long value is kept whole as an artifact.

        Raises:
            InvalidInput: a parameter was logged before with another value.
        """
        with self._lock:
            texts = params.texts(values)
            for key, value in texts.items():
                if self._params.get(key, value) != value:
                    raise InvalidInput(
                        f"Parameter {key} is already {self._params[key]!r}; parameters of a run "
                        "do not change."
                    )
            self._params.update(texts)
            self._write_texts("params", texts, params.PARAM_LENGTH)

    def log_metrics(self, values: Mapping[str, Any], step: int = 0) -> None:
        """Log metrics at `step`; NaN and infinity are kept.

        Raises:
            InvalidInput: a value is not a number.
        """
        moment = now_ms()
        items = [
            {"key": key, "value": params.wire_number(value), "timestamp": moment, "step": step}
            for key, value in params.metrics(values).items()
        ]
        self._write("batch", {"metrics": items})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; a later value replaces an earlier one."""
        self._write_texts("tags", params.texts(tags), params.TAG_LENGTH)

    def log_artifact(self, path: Path | str, artifact_path: str = "") -> None:
        """Log a file, or a folder with all in it, under the folder `artifact_path`."""
        source = Path(path)
        goal = f"{safe(artifact_path)}/{source.name}" if artifact_path else source.name
        self._write("artifact", {"path": goal}, source)

    def log_text(self, text: str, artifact_file: str) -> None:
        """Log a text as the file `artifact_file`, secrets hidden."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / PurePosixPath(safe(artifact_file)).name
            file.write_text(mask_text(text), encoding="utf-8")
            self._write("artifact", {"path": safe(artifact_file)}, file)

    def log_dict(self, data: Any, artifact_file: str) -> None:
        """Log plain data as a JSON file, secrets hidden."""
        text = json.dumps(mask(data), indent=2, default=str, ensure_ascii=False)
        self.log_text(text, artifact_file)

    def log_dataset(
        self,
        name: str,
        digest: str,
        *,
        schema: Any = None,
        profile: Any = None,
        source: str = "",
        context: str = "training",
    ) -> None:
        """Log a data set as MLflow knows them. MLflow keeps 36 characters of a digest; the whole
        one is in the tag `e2i.digest`."""
        dataset = {
            "name": name[:500],
            "digest": digest[: params.DIGEST_LENGTH],
            "source_type": "local",
            "source": mask_text(json.dumps({"uri": source})),
            "schema": json.dumps(schema, default=str) if schema is not None else "",
            "profile": json.dumps(profile, default=str) if profile is not None else "",
        }
        tags = [
            {"key": "mlflow.data.context", "value": context},
            {"key": "e2i.digest", "value": digest},
        ]
        self._write("dataset", {"input": {"dataset": dataset, "tags": tags}})

    def log_model(
        self,
        local_dir: Path | str,
        *,
        name: str = "model",
        register_as: str | None = None,
        version_tags: Mapping[str, Any] | None = None,
    ) -> str:
        """Log a saved MLflow model and register it if `register_as` names a registered model.

        Returns:
            The digest (sha256) of the model's files, which is the same wherever they are.
        """
        source = Path(local_dir)
        if not (source / "MLmodel").is_file():
            raise InvalidInput(f"{source} holds no MLmodel file; save the model there first.")
        digest = models.digest(source)
        data = {
            "name": name,
            "digest": digest,
            "register_as": register_as,
            "version_tags": params.texts({**(version_tags or {}), "e2i.digest": digest}),
        }
        self._write("model", data, source)
        return digest

    def begin(self, data: dict[str, Any]) -> None:
        """Write the start of the run."""
        self._write("start", data)

    def end(self, status: str, error: BaseException | None = None) -> ReplayResult:
        """End the run as FINISHED, FAILED or KILLED. Nothing can be logged afterwards."""
        with self._lock:
            try:
                if error is not None:
                    reason = f"{type(error).__name__}: {error}"[:1000]
                    self._write("batch", {"tags": [_pair("e2i.error", mask_text(reason))]})
                self._write("end", {"status": status, "end_time": now_ms()})
            finally:
                self._writer.close()
            return self._result

    def deliver(self) -> ReplayResult:
        """Try to deliver what waits. One attempt; MLflow being away is no error."""
        with self._lock:
            if time.monotonic() < self._quiet_until:
                return self._result
            try:
                with single_attempt():
                    self._result = delivery.deliver(self._connector, self._journal, wait=False)
            except Unreachable as error:
                self._quiet_until = time.monotonic() + error.retry_after
                logger.warning("Run %s waits for MLflow: %s", self.journal_id, error)
                self._refresh()
            except Conflict:
                self._refresh()
            except MLflowError as error:
                self._quiet_until = time.monotonic() + 30
                logger.error("Run %s cannot be delivered: %s", self.journal_id, error)
                self._refresh()
            return self._result

    def _refresh(self) -> None:
        self._result = self._connector.journal_result(self.journal_id)

    def _write_texts(self, part: str, texts: dict[str, str], limit: int) -> None:
        items = []
        for key, value in texts.items():
            place = f"long_{part}/{key.replace('/', '_')}.txt"
            if len(value) > limit:
                self.log_text(value, place)
            items.append(_pair(key, params.shorten(value, limit, place)))
        if items:
            self._write("batch", {part: items})

    def _write(self, kind: str, data: dict[str, Any], file: Path | None = None) -> None:
        with self._lock:
            self._writer.append(kind, data, file)
            self.deliver()


class AsyncTrackedRun:
    """`TrackedRun` for coroutines: its calls run in a thread of their own, in order."""

    def __init__(self, run: TrackedRun, executor: ThreadPoolExecutor) -> None:
        self.sync = run
        self._executor = executor

    @property
    def journal_id(self) -> str:
        return self.sync.journal_id

    @property
    def mlflow_run_id(self) -> str | None:
        return self.sync.mlflow_run_id

    @property
    def model_uri(self) -> str | None:
        return self.sync.model_uri

    @property
    def model_version(self) -> str | None:
        return self.sync.model_version

    @property
    def result(self) -> ReplayResult:
        return self.sync.result

    async def log_params(self, values: Mapping[str, Any]) -> None:
        await self._call(self.sync.log_params, values)

    async def log_metrics(self, values: Mapping[str, Any], step: int = 0) -> None:
        await self._call(self.sync.log_metrics, values, step)

    async def set_tags(self, tags: Mapping[str, Any]) -> None:
        await self._call(self.sync.set_tags, tags)

    async def log_artifact(self, path: Path | str, artifact_path: str = "") -> None:
        await self._call(self.sync.log_artifact, path, artifact_path)

    async def log_text(self, text: str, artifact_file: str) -> None:
        await self._call(self.sync.log_text, text, artifact_file)

    async def log_dict(self, data: Any, artifact_file: str) -> None:
        await self._call(self.sync.log_dict, data, artifact_file)

    async def log_dataset(self, name: str, digest: str, **more: Any) -> None:
        await self._call(partial(self.sync.log_dataset, name, digest, **more))

    async def log_model(self, local_dir: Path | str, **more: Any) -> str:
        digest: str = await self._call(partial(self.sync.log_model, local_dir, **more))
        return digest

    async def _call(self, function: Any, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, function, *arguments)


class RunContext:
    """What `start_run` returns: `with` gives a TrackedRun, `async with` an AsyncTrackedRun.

    The run ends FINISHED; FAILED on an exception; KILLED on cancellation, Ctrl-C, exit and the
    exceptions named in `killed_by`.
    """

    def __init__(
        self,
        connector: MLflowConnector,
        journal_id: str,
        start: dict[str, Any],
        killed_by: tuple[type[BaseException], ...] = (),
    ) -> None:
        self._connector = connector
        self._journal_id = journal_id
        self._start = start
        self._killed_by = killed_by
        self._run: TrackedRun | None = None
        self._executor: ThreadPoolExecutor | None = None

    def __enter__(self) -> TrackedRun:
        journal = self._connector.new_journal(self._journal_id)
        self._run = TrackedRun(self._connector, journal)
        self._run.begin({**self._start, "start_time": now_ms()})
        return self._run

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._run is not None:
            self._run.end(outcome(error, self._killed_by), error)

    async def __aenter__(self) -> AsyncTrackedRun:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="mlflow-run")
        loop = asyncio.get_running_loop()
        entering = loop.run_in_executor(self._executor, self.__enter__)
        try:
            run = await asyncio.shield(entering)
        except asyncio.CancelledError as cancelled:
            await entering
            await self.__aexit__(type(cancelled), cancelled, None)
            raise
        except BaseException:
            self._executor.shutdown(wait=False)
            raise
        return AsyncTrackedRun(run, self._executor)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._executor is None:
            return
        loop = asyncio.get_running_loop()
        ending = loop.run_in_executor(self._executor, self.__exit__, kind, error, trace)
        self._executor.shutdown(wait=False)
        await asyncio.shield(ending)  # the end is written even when the task is cancelled again


def outcome(error: BaseException | None, killed_by: tuple[type[BaseException], ...] = ()) -> str:
    """MLflow's status for the way a block ended."""
    if error is None:
        return "FINISHED"
    is_failure = isinstance(error, Exception) and not isinstance(error, killed_by)
    return "FAILED" if is_failure else "KILLED"


def new_journal_id() -> str:
    """A journal id that nobody else has."""
    return uuid.uuid4().hex


def _pair(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value}
