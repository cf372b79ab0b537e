"""Steps of a probed model that misbehaves; imported by the process of its own."""

from __future__ import annotations

import os
import time
from typing import Any


def environment(subject: Any) -> dict[str, str]:
    return dict(os.environ)


def die(subject: Any) -> None:
    print("out of memory, says the model", flush=True)
    os._exit(9)


def hang(subject: Any) -> None:
    time.sleep(60)


def answer(subject: Any) -> str:
    return subject.folder.name


def refuse(subject: Any) -> None:
    raise RuntimeError("no")
