"""The registered model answers its example once; what could change the answer asks it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.remembered import example_answers
from registry.measuring.probe import ProbeFailed
from tests.deployments.conftest import SavedModels

NOTHING = Path("/nowhere")


def test_a_model_is_loaded_once_for_the_same_question(saved: SavedModels, tmp_path: Path) -> None:
    champion, rows = saved.champion, saved.body(rows=3)
    expected = champion.fitted.predict(saved.frame.head(3)).tolist()
    assert example_answers(champion.path, champion.digest, rows, keep=tmp_path) == expected
    assert example_answers(NOTHING, champion.digest, rows, keep=tmp_path) == expected
    for digest, body in ((saved.challenger.digest, rows), (champion.digest, saved.body(rows=2))):
        with pytest.raises(ProbeFailed):
            example_answers(NOTHING, digest, body, keep=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
