"""Models in processes of their own: no secrets, a time limit, and who dies takes nobody along."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2i_site.core.errors import InvalidInput
from registry.measuring import memory, probe, probing

STEPS = "tests.registry.measuring_steps"


def test_who_dies_or_hangs_takes_no_other_answer_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "SECONDS", 3)
    monkeypatch.setenv("SECRET_KEY", "hidden")
    first, second = tmp_path / "first", tmp_path / "second"

    def ask(folder: Path, step: str) -> probe.Question:
        return probe.Question(folder, f"{STEPS}:{step}")

    dead, late = ask(first, "die"), ask(first, "hang")
    good = [ask(first, "answer"), ask(first, "environment"), ask(second, "answer")]
    refused = ask(second, "refuse")
    replies = probe.ask([good[0], dead, late, good[1], good[2], refused])
    assert replies[good[0]].require() == "first"
    assert replies[good[2]].require() == "second"
    assert replies[dead].died.endswith("ended: out of memory, says the model")
    assert replies[late].died == "The model did not finish within 3 s."
    assert replies[refused].problem == "RuntimeError: no"
    with pytest.raises(probe.ProbeFailed, match="says the model"):
        replies[dead].require()
    environment = replies[good[1]].require()
    assert "hidden" not in environment.values()
    assert "PATH" in environment
    assert capfd.readouterr().err == ""


def test_files_that_were_changed_since_they_were_verified_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}")
    with pytest.raises(InvalidInput, match="changed after they were verified"):
        _ = probing.Subject(tmp_path, "0" * 64).model


def test_a_fork_counts_the_libraries_that_it_inherits() -> None:
    """A child that does nothing needs what its parent holds, whichever pages it has touched."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, str(memory.peak_alone()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    status = Path("/proc/self/status").read_text().split("VmRSS:")[1]
    held = int(status.split()[0]) * 1024
    assert int(os.read(reading, 40)) == pytest.approx(held, rel=0.1)


def test_what_the_process_held_that_started_this_one_does_not_count() -> None:
    held = bytearray(b"1" * 200_000_000)
    command = "from registry.measuring import memory; print(memory.peak_bytes())"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)
    assert 1_000_000 < int(done.stdout) < len(held) / 2
