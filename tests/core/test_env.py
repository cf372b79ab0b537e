"""What the settings make of the environment."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from e2i_site import settings


def test_links_to_mlflow_tell_nobody_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://e2i:hidden@mlflow.example.org:8443/ml")
    found = runpy.run_path(str(Path(settings.__file__)))
    assert found["MLFLOW_UI_URL"] == "https://mlflow.example.org:8443/ml"
    assert found["MLFLOW_TRACKING_URI"].startswith("https://e2i:hidden@")
