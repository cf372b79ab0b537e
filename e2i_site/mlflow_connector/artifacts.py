"""Files of runs and models: listed, read, downloaded and uploaded.

The usual roots, `mlflow-artifacts:` behind the server and local folders, need HTTP and the file
system only. Other roots (S3, GCS, …) go through MLflow's own clients, imported when met.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector.errors import NotFound, Rejected, Unreachable
from e2i_site.mlflow_connector.transport import PROXY, Transport
from e2i_site.mlflow_connector.types import Artifact

READ_LIMIT = 10 << 20


class Artifacts:
    """Artifact calls. All raise `Unreachable`, `NotFound` or `Rejected`."""

    transport: Transport

    def list_artifacts(
        self,
        *,
        run_id: str | None = None,
        model_id: str | None = None,
        path: str = "",
        recursive: bool = False,
    ) -> list[Artifact]:
        """Files and folders of a run or of a logged model, under `path`."""
        if (run_id is None) == (model_id is None):
            raise InvalidInput("Name either a run or a logged model.")
        root = f"models:/{model_id}" if model_id else f"runs:/{run_id}"
        location = self.artifact_location(root)
        found = walk if recursive else listing
        return list(found(self.transport, location, path))

    def artifact_location(self, uri: str) -> str:
        """Where the files behind `runs:/…`, `models:/…` or a plain URI are kept."""
        if uri.startswith("runs:/"):
            run_id, _, path = uri.removeprefix("runs:/").partition("/")
            data = self.transport.get("runs/get", run_id=run_id)
            return _join(data["run"]["info"]["artifact_uri"], path)
        if uri.startswith("models:/"):
            return self._model_location(uri.removeprefix("models:/"))
        return uri

    def _model_location(self, rest: str) -> str:
        head, _, path = rest.partition("/")
        if head.startswith("m-") and "@" not in head:
            data = self.transport.get(f"logged-models/{quote(head, safe='')}")
            return _join(data["model"]["info"]["artifact_uri"], path)
        if "@" in head:
            name, alias = head.rsplit("@", 1)
            data = self.transport.get("registered-models/alias", name=name, alias=alias)
            version = data["model_version"]["version"]
        else:
            name, (version, _, path) = head, path.partition("/")
        if not version.isdigit():
            raise InvalidInput(f"models:/{rest} names no version; write models:/NAME/VERSION.")
        data = self.transport.get("model-versions/get-download-uri", name=name, version=version)
        return _join(self.artifact_location(data["artifact_uri"]), path)

    def download_artifacts(self, uri: str, target: Path) -> Path:
        """Download a folder or a file to `target`, which must not exist yet. All or nothing.

        `uri` is `runs:/ID/path`, `models:/m-…`, `models:/NAME/VERSION`, `models:/NAME@ALIAS` or
        the artifact root itself.
        """
        if target.exists():
            raise InvalidInput(f"{target} exists already; name a new place for the download.")
        location = self.artifact_location(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".download-", dir=target.parent))
        try:
            content = staging / "content"
            fetch(self.transport, location, content)
            content.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return target

    def read_artifact(self, uri: str, *, limit: int = READ_LIMIT) -> bytes:
        """The bytes of one file of at most `limit` bytes, e.g. `models:/m-…/MLmodel`."""
        location = self.artifact_location(uri)
        if proxied := proxy_path(self.transport, location):
            return self.transport.read(f"{PROXY}/{quote(proxied)}", limit=limit)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "file"
            fetch(self.transport, location, file)
            if not file.is_file():
                raise NotFound(f"{uri} is not a file.")
            if file.stat().st_size > limit:
                raise Rejected(f"{uri} is larger than {limit} bytes.", status=413)
            return file.read_bytes()

    def upload_file(self, root: str, path: str, file: Path) -> None:
        """Put one file at `path` under an artifact root, replacing what is there."""
        relative = safe(path)
        if proxied := proxy_path(self.transport, root):
            self.transport.upload(f"{PROXY}/{quote(f'{proxied}/{relative}')}", file)
        elif local := local_path(root):
            goal = local / relative
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, goal)
        else:
            folder = str(PurePosixPath(relative).parent)
            # MLflow names the uploaded file after the local one.
            with tempfile.TemporaryDirectory() as staging:
                named = Path(staging) / PurePosixPath(relative).name
                shutil.copyfile(file, named)
                other = _other_store(root, self.transport.url)
                _call(other.log_artifact, str(named), None if folder == "." else folder)

    def upload_tree(self, root: str, path: str, folder: Path) -> None:
        """Put a file, or all files of a folder, under `path`."""
        if folder.is_file():
            return self.upload_file(root, path, folder)
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                inner = file.relative_to(folder).as_posix()
                self.upload_file(root, f"{path}/{inner}" if path else inner, file)
        return None


def safe(path: str) -> str:
    """A relative path that stays below its root.

    Raises:
        Rejected: the path is absolute, climbs with `..` or holds odd characters.
    """
    parts = PurePosixPath(path).parts
    decoded = unquote(path)
    if (
        not parts
        or path.startswith("/")
        or any(mark in decoded for mark in ("\\", "\0"))
        or ".." in PurePosixPath(decoded).parts
    ):
        raise Rejected(f"{path!r} is not a safe artifact path.")
    return PurePosixPath(path).as_posix()


def proxy_path(transport: Transport, location: str) -> str | None:
    """The path behind the server's artifact proxy, or None for another kind of root."""
    parts = urlsplit(location)
    if parts.scheme != "mlflow-artifacts":
        return None
    if parts.netloc and parts.netloc != urlsplit(transport.url).netloc.rpartition("@")[2]:
        return None
    path = unquote(parts.path).strip("/")
    return safe(path) if path else "."


def local_path(location: str) -> Path | None:
    """A local folder, or None for another kind of root."""
    parts = urlsplit(location)
    if parts.scheme == "" or (parts.scheme == "file" and parts.netloc in ("", "localhost")):
        return Path(unquote(parts.path))
    return None


def listing(transport: Transport, location: str, path: str = "") -> Iterator[Artifact]:
    """Files and folders directly under `path`; paths are relative to `location`."""
    if path:
        path = safe(path)
    if proxied := proxy_path(transport, location):
        params = {"path": f"{proxied}/{path}".rstrip("/")}
        data = transport.json("GET", PROXY, params=params, repeat=True)
        for each in data.get("files") or []:
            name = safe(each["path"])
            is_dir = bool(each.get("is_dir"))
            size = None if is_dir else int(each.get("file_size", 0))
            yield Artifact(f"{path}/{name}" if path else name, is_dir, size)
    elif root := local_path(location):
        folder = root / path
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            size = None if entry.is_dir() else entry.stat().st_size
            yield Artifact(entry.relative_to(root).as_posix(), entry.is_dir(), size)
    else:
        found = _call(_other_store(location, transport.url).list_artifacts, path or None)
        for each in found:
            yield Artifact(safe(each.path), each.is_dir, None if each.is_dir else each.file_size)


def walk(transport: Transport, location: str, path: str = "") -> Iterator[Artifact]:
    """Every file below `path`."""
    for item in listing(transport, location, path):
        if item.is_dir:
            yield from walk(transport, location, item.path)
        else:
            yield replace(item)


def fetch(transport: Transport, location: str, target: Path) -> None:
    """Copy everything at `location`, a folder or a file, to `target`."""
    if (root := local_path(location)) is not None:
        _copy_local(root, target)
        return
    proxied = proxy_path(transport, location)
    if proxied is None:
        other = _other_store(location, transport.url)
        found = _call(other.download_artifacts, "", str(_made(target)))
        if Path(found) != target:
            raise Rejected(f"MLflow put the files of {location} at an unexpected place.")
        return
    files = list(walk(transport, location))
    if not files:  # either one file or nothing at all
        transport.download(f"{PROXY}/{quote(proxied)}", target)
        return
    for item in files:
        goal = target / item.path
        goal.parent.mkdir(parents=True, exist_ok=True)
        if not goal.resolve().is_relative_to(target.resolve()):
            raise Rejected(f"{item.path!r} is not a safe artifact path.")
        transport.download(f"{PROXY}/{quote(f'{proxied}/{item.path}')}", goal)


def _copy_local(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copyfile(source, target)
    else:
        raise NotFound(f"There is nothing at {source}.")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _join(root: str, path: str) -> str:
    return f"{root.rstrip('/')}/{safe(path)}" if path else root


def _other_store(location: str, tracking_uri: str) -> Any:
    """MLflow's own client for a remote artifact root."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(location, tracking_uri=tracking_uri)


def _call(function: Any, *arguments: Any) -> Any:
    """A call of MLflow's client, its errors made ours."""
    from mlflow.exceptions import MlflowException

    try:
        return function(*arguments)
    except MlflowException as error:
        raise Rejected(str(error)[:500], code=error.error_code) from error
    except Exception as error:
        raise Unreachable(f"The artifact store does not answer: {error}", counted=False) from error
