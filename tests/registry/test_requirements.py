"""What a model says it needs, against what is installed here."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from registry.measuring.requirements import check_requirements


def test_pinned_loose_missing_and_another_build_of_the_same_library(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    yaml, boost = metadata.version("PyYAML"), metadata.version("xgboost-cpu")
    file.write_text(
        f"pyyaml=={yaml}\npyyaml>=1\npyyaml==0.1\nno-such-package==1.0  # gone\nxgboost=={boost}\n"
    )
    rows = check_requirements(file)
    assert rows is not None
    assert [(row["pinned"], row["installed"], row["problem"]) for row in rows] == [
        (True, yaml, ""),
        (False, yaml, ""),
        (True, yaml, f"{yaml} is installed here"),
        (True, "", "is not installed here"),
        (True, f"{boost} (xgboost-cpu)", ""),
    ]
    assert check_requirements(tmp_path / "none.txt") is None
