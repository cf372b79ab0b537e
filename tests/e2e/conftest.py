"""One system for all tests of this folder; they run on one worker, in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.system import System


# Not for the whole run: it takes a gigabyte, and works on its schedule.
@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("system"))
    try:
        system.start()
        yield system
    finally:
        system.stop()
