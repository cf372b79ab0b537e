"""A registered model's answers on its own input example, worked out once and kept.

The same files, libraries and rows give the same answers. Loading a model takes seconds of
processor time, and each audit compares every model that serves.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

import orjson

from deployments.answers import registered_answers


def example_answers(folder: Path, digest: str, example: bytes, *, keep: Path) -> Any:
    """Predictions of the model in `folder`, which the caller has found to have `digest`.

    `keep` is the directory of answers. Raises ProbeFailed, which is not kept.
    """
    kept = keep / f"{_key(digest, example)}.json"
    if kept.exists():
        return orjson.loads(kept.read_bytes())
    answers = registered_answers(folder, example)
    keep.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = kept.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(orjson.dumps(answers))
    fresh.replace(kept)
    return answers


def _key(digest: str, example: bytes) -> str:
    """Of all that the answers follow from. Whatever is installed touches its directory."""
    libraries = Path(sysconfig.get_path("purelib")).stat().st_mtime_ns
    rows = hashlib.sha256(example).hexdigest()
    text = f"{digest} {rows} {sys.version} {libraries}"
    return hashlib.sha256(text.encode()).hexdigest()
