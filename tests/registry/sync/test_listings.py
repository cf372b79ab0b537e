"""MLflow's pages shift when others are deleted: what one skips is still there."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from e2i_site.activity.models import MlflowEvent
from registry.models import RegisteredModel, RegistryEntry
from registry.sync import sync
from tests.faults import FaultProxy
from tests.registry.sync.world import World, only_unchanged
from training.models import LoggedModel, MlflowExperiment, TrainingRun


@dataclass
class Things:
    """One of each kind, mirrored, with a second version."""

    experiment: str
    run: str
    logged_model: str
    name: str = "churn"

    def deleted(self) -> list[bool]:
        """What is taken for deleted."""
        versions = RegistryEntry.objects.filter(model=self.name).order_by("model_version")
        return [
            MlflowExperiment.objects.get(mlflow_id=self.experiment).deleted,
            TrainingRun.objects.get(mlflow_run_id=self.run).deleted_in_mlflow,
            LoggedModel.objects.get(model_id=self.logged_model).deleted_in_mlflow,
            RegisteredModel.objects.get(name=self.name).deleted_in_mlflow,
            *versions.values_list("deleted_in_mlflow", flat=True),
        ]


@pytest.fixture
def things(world: World, line: FaultProxy) -> Things:
    experiment = world.experiment("theirs")
    run = world.run(experiment)
    made = Things(experiment, run, world.model(experiment, run, "m", {}, {}))
    for _ in range(2):
        version = world.version(made.name, run)
    world.connector.set_alias(made.name, "champion", version)
    sync(full=True)
    assert made.deleted() == [False] * 6
    return made


@pytest.mark.once
@pytest.mark.parametrize(
    ("listing", "item"),
    [
        ("experiments/search", '"experiment_id": "{0.experiment}"'),
        ("runs/search", "{0.run}"),
        ("logged-models/search", "{0.logged_model}"),
        ("registered-models/search", '"name": "{0.name}"'),
        ("model-versions/search", '"version": "1"'),
        ("model-versions/search", '"name": "{0.name}"'),
    ],
)
def test_what_a_page_skips_stays(
    world: World, line: FaultProxy, things: Things, listing: str, item: str
) -> None:
    MlflowEvent.objects.all().delete()
    omitted = line.fault("omit", listing, item=item.format(things))
    sync(full=True)
    assert omitted.hits
    assert things.deleted() == [False] * 6
    assert not MlflowEvent.objects.exists()
    assert RegisteredModel.objects.get().aliases == {"champion": "2"}
    assert list(RegistryEntry.objects.filter(is_champion=True).values_list("model_version")) == [
        (2,)
    ]
    line.heal()
    assert only_unchanged(sync(full=True))


@pytest.mark.once
def test_what_goes_while_a_page_skips_another_is_marked(
    world: World, line: FaultProxy, things: Things
) -> None:
    world.connector.transport.write("DELETE", "model-versions/delete", name="churn", version="1")
    line.fault("omit", "model-versions/search", item='"version": "2"')
    assert sync().versions.deleted == 1
    assert things.deleted()[-2:] == [True, False]
