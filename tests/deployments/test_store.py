from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from deployments.store import ArtifactStore, DigestMismatch
from e2i_site.core.errors import InvalidInput
from tests.deployments.conftest import SavedModels


def never(target: Path) -> None:
    raise AssertionError("nothing should be downloaded")


def test_verified_files_are_not_fetched_again(store: ArtifactStore, saved: SavedModels) -> None:
    path = store.fetch(saved.champion.digest, never)
    assert (path / "MLmodel").exists()
    assert store.verify(saved.champion.digest).ok


def test_other_bytes_are_refused_and_leave_nothing(tmp_path: Path, saved: SavedModels) -> None:
    store = ArtifactStore(tmp_path)
    with pytest.raises(DigestMismatch, match="Nothing of them was loaded"):
        store.fetch(
            saved.champion.digest, lambda target: shutil.copytree(saved.challenger.path, target)
        )
    assert not store.has(saved.champion.digest)
    assert list((tmp_path / "sha256").iterdir()) == []


def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path, saved: SavedModels) -> None:
    store = ArtifactStore(tmp_path)

    def broken(target: Path) -> None:
        shutil.copytree(saved.champion.path, target)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        store.fetch(saved.champion.digest, broken)
    assert list((tmp_path / "sha256").iterdir()) == []


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
def test_a_change_on_disk_is_noticed_and_repaired_by_fetching(
    store: ArtifactStore, saved: SavedModels, change: str
) -> None:
    digest = saved.champion.digest
    file = store.path(digest) / "MLmodel"
    file.chmod(0o600)
    if change == "edit":
        file.write_text(file.read_text() + "\n# changed\n")
    elif change == "add":
        (store.path(digest) / "extra.py").write_text("print('hello')")
    else:
        file.unlink()
    check = store.verify(digest)
    assert not check.ok
    assert "changed on disk" in check.message
    store.fetch(digest, lambda target: shutil.copytree(saved.champion.path, target))
    assert store.verify(digest).ok


def test_a_symbolic_link_never_verifies(
    store: ArtifactStore, saved: SavedModels, tmp_path: Path
) -> None:
    folder = store.path(saved.champion.digest)
    elsewhere = tmp_path / "elsewhere"
    (folder / "MLmodel").rename(elsewhere)
    (folder / "MLmodel").symlink_to(elsewhere)
    assert not store.verify(saved.champion.digest).ok


def test_workers_that_fetch_at_once_agree(tmp_path: Path, saved: SavedModels) -> None:
    store = ArtifactStore(tmp_path)
    together = threading.Barrier(4)
    paths = []

    def download(target: Path) -> None:
        shutil.copytree(saved.champion.path, target)
        together.wait(timeout=10)

    def fetch() -> None:
        paths.append(store.fetch(saved.champion.digest, download))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [store.path(saved.champion.digest)] * 4
    assert store.verify(saved.champion.digest).ok


@pytest.mark.parametrize("digest", ["", "../../etc", "A" * 64, "ab"])
def test_only_digests_are_addresses(store: ArtifactStore, digest: str) -> None:
    with pytest.raises(InvalidInput, match="digest"):
        store.path(digest)
