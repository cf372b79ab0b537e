"""The versions that all gates are tried on, measured once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.models import Deployment
from deployments.store import ArtifactStore
from registry.choices import Stage
from registry.models import RegistryEntry, VersionMeasurement
from tests.factories.deployments import DeploymentFactory
from tests.registry.gates.trained import Classroom, Trained


@dataclass(eq=False)
class World:
    """One version that is good, the champion it would replace, and a spoiled one."""

    classroom: Classroom
    ask: Any
    good: RegistryEntry
    champion: RegistryEntry
    spoiled: RegistryEntry
    serving: Deployment
    settings: Any
    keys: Path

    def outcome(self, gate_id: str, entry: RegistryEntry | None = None, **more: Any) -> str:
        measure, stages = more.pop("measure", True), more.pop("stages", {})
        asked = self.ask(entry or self.good, {"id": gate_id, **more}, measure=measure, **stages)
        result = asked[gate_id]
        return f"{result.outcome}: {result.summary}"

    def rows(self, kind: str) -> Any:
        return VersionMeasurement.objects.filter(entry=self.good, kind=kind)

    def corrupted(self, gate_id: str, kind: str, **specification: Any) -> str:
        """What the gate says when the stored measurement is not what it should be."""
        with self.restored(kind):
            self.rows(kind).update(result={"calibration": {}, "digest": None})
            return self.outcome(gate_id, measure=False, **specification)

    def unmeasured(self, gate_id: str, kind: str, **specification: Any) -> str:
        with self.restored(kind):
            self.rows(kind).delete()
            return self.outcome(gate_id, measure=False, **specification)

    def measured_anew(self, gate_id: str, kind: str) -> str:
        """What the gate says after measuring once more, in the world as it is now."""
        with self.restored(kind):
            self.rows(kind).delete()
            return self.outcome(gate_id)

    @contextmanager
    def restored(self, kind: str) -> Iterator[None]:
        """Afterwards the rows of a kind are what they were."""
        rows = list(self.rows(kind))
        assert rows, f"{kind} was never measured"
        yield
        self.rows(kind).delete()
        VersionMeasurement.objects.bulk_create(rows)


def build_world(
    classroom: Classroom, ask: Any, spoiled: Trained, settings: Any, place: Path
) -> World:
    """The good version, the champion that serves from the store, and the spoiled one."""
    settings.ARTIFACT_STORE = place / "store"
    settings.MODEL_SIGNING_KEY = ""
    champion = classroom.entry("twin", Stage.PRODUCTION)
    path = classroom.school.models["twin"].path
    ArtifactStore(settings.ARTIFACT_STORE).fetch(
        champion.artifact_digest, lambda target: shutil.copytree(path, target)
    )
    bad = classroom.entry("poor", model_version=spoiled.version, artifact_digest=spoiled.digest)
    return World(
        classroom, ask, classroom.entry("good"), champion, bad,
        DeploymentFactory(entry=champion), settings, place,
    )  # fmt: skip
