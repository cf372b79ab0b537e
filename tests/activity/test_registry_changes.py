"""What others change in a real registry becomes events; what E2I carries does not."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.utils import timezone

from e2i_site.activity.models import MlflowEvent
from e2i_site.jobs.enqueue import enqueue
from e2i_site.mlflow_connector import NotFound
from registry.carry import carry
from registry.choices import Stage, StageCause
from registry.mirror import RegistryMirror, mirror_model
from registry.models import RegisteredModel, RegistryEntry, StageChange
from tests.activity.conftest import SOURCE, Others
from training.sync import Counts


def events(**filters: Any) -> list[tuple[Any, ...]]:
    """(kind, subject, key, before, after), oldest first."""
    fields = ("kind", "subject_id", "key", "before", "after")
    return list(MlflowEvent.objects.filter(**filters).order_by("id").values_list(*fields))


def test_the_first_sight_of_a_model_is_no_change(others: Others) -> None:
    name = others.model(versions=2)
    others.connector.set_alias(name, "team", 1)
    mirror_model(name)
    mirror_model(name)
    assert events() == []


def test_aliases_set_moved_and_deleted(others: Others) -> None:
    name = others.model(versions=2)
    mirror_model(name)
    for version in (1, 2):
        others.connector.set_alias(name, "team", version)
        mirror_model(name)
    others.connector.delete_alias(name, "team")
    mirror_model(name)
    mirror_model(name)
    assert events() == [
        ("alias_set", name, "team", None, "1"),
        ("alias_moved", name, "team", "1", "2"),
        ("alias_deleted", name, "team", "2", None),
    ]


def test_tags_descriptions_and_versions(others: Others) -> None:
    name = others.model()
    mirror_model(name)
    others.connector.set_registered_model_tag(name, "owner", "anna")
    others.connector.set_version_tag(name, 1, "checked", "no")
    others.post("registered-models/update", "PATCH", name=name, description="Ours now")
    mirror_model(name)
    others.connector.set_version_tag(name, 1, "checked", "yes")
    others.connector.update_version_description(name, 1, "better")
    others.version()
    mirror_model(name)
    others.connector.delete_version_tag(name, 1, "checked")
    others.post("model-versions/delete", "DELETE", name=name, version="2")
    mirror_model(name)
    source = {"run_id": "", "source": SOURCE}
    assert sorted(events(), key=str) == sorted(
        [
            ("description_changed", name, "", "", "Ours now"),
            ("tag_set", name, "owner", None, "anna"),
            ("tag_set", f"{name}/1", "checked", None, "no"),
            ("created", f"{name}/2", "", None, source),
            ("description_changed", f"{name}/1", "", "", "better"),
            ("tag_changed", f"{name}/1", "checked", "no", "yes"),
            ("tag_deleted", f"{name}/1", "checked", "yes", None),
            ("deleted", f"{name}/2", "", None, None),
        ],
        key=str,
    )
    described = MlflowEvent.objects.get(kind="description_changed", subject_kind="model")
    assert described.happened_at
    assert described.happened_at <= described.noticed_at


def test_a_deleted_model_is_one_event_not_one_for_each_version(others: Others) -> None:
    name = others.model(versions=2)
    mirror_model(name)
    others.post("registered-models/delete", "DELETE", name=name)
    with pytest.raises(NotFound):
        mirror_model(name)
    assert events() == [("deleted", name, "", None, None)]
    assert RegistryEntry.objects.filter(model=name, deleted_in_mlflow=True).count() == 2
    others.model()
    mirror_model(name)
    assert [kind for kind, *_ in events()] == ["deleted", "created", "created"]


def test_a_renamed_model_is_recognised(others: Others) -> None:
    name = others.model()
    mirror_model(name)
    new = f"{name}-new"
    others.post("registered-models/rename", name=name, new_name=new)
    connector = others.connector
    mirror = RegistryMirror(Counts(), Counts(), only=name)
    mirror.mirror_models([connector.get_registered_model(new)])
    mirror.mirror_versions(connector.iter_model_versions(f"name = '{new}'"))
    assert events() == [("renamed", name, new, name, new)]
    assert MlflowEvent.objects.about_model(new).exists()
    assert MlflowEvent.objects.about_model(name).exists()


def _in_production(others: Others, version: int = 1) -> RegistryEntry:
    entry = RegistryEntry.objects.get(model=others.name, model_version=version)
    RegistryEntry.objects.filter(pk=entry.pk).update(stage=Stage.PRODUCTION)
    StageChange.objects.create(
        entry=entry,
        from_stage=Stage.SHADOW,
        to_stage=Stage.PRODUCTION,
        cause=StageCause.PROMOTION,
        at=timezone.now(),
    )
    return entry


def test_what_e2i_carries_is_no_event(others: Others) -> None:
    name = others.model()
    mirror_model(name)
    _in_production(others)
    assert carry(name)["aliases"] == {"production": "1"}
    mirror_model(name)
    assert events() == []
    assert RegisteredModel.objects.get(name=name).aliases == {"production": "1"}


def test_a_sync_that_sees_the_carried_alias_before_the_row_has_it(others: Others) -> None:
    name = others.model()
    mirror_model(name)
    _in_production(others)
    enqueue("registry.carry_stage", payload={"model": name}, subject=f"model:{name}")
    others.connector.set_alias(name, "production", 1)  # what the job does just now
    others.connector.set_version_tag(name, 1, "e2i.stage", "production")
    mirror_model(name)
    assert events() == []
    others.connector.set_alias(name, "team", 1)
    mirror_model(name)
    assert events() == [("alias_set", name, "team", None, "1")]


def test_carrying_does_not_hide_what_others_did_before(others: Others) -> None:
    name = others.model(versions=2)
    mirror_model(name)
    _in_production(others)
    carry(name)
    others.connector.set_alias(name, "production", 2)
    others.connector.set_alias(name, "team", 2)
    carry(name)
    assert sorted(events()) == [
        ("alias_moved", name, "production", "1", "2"),
        ("alias_set", name, "team", None, "2"),
    ]
    row = RegisteredModel.objects.get(name=name)
    assert row.aliases == {"production": "1", "team": "2"}


def test_an_older_reading_does_not_overwrite_a_newer_one(others: Others) -> None:
    name = others.model(versions=2)
    mirror_model(name)
    slow = RegistryMirror(Counts(), Counts(), only=name)
    read = others.connector.get_registered_model(name)
    versions = list(others.connector.iter_model_versions(f"name = '{name}'"))
    others.connector.set_alias(name, "team", 2)
    others.connector.set_version_tag(name, 1, "checked", "yes")
    mirror_model(name)
    slow.mirror_models([read])
    slow.mirror_versions(versions)
    assert len(events()) == 2
    assert RegisteredModel.objects.get(name=name).aliases == {"team": "2"}
    assert RegistryEntry.objects.get(model=name, model_version=1).tags == {"checked": "yes"}


class _Elsewhere(BaseHTTPRequestHandler):
    """What answers while a proxy has lost its MLflow."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


def test_a_page_not_found_is_no_word_of_mlflow(others: Others, settings: Any) -> None:
    name = others.model()
    mirror_model(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.MLFLOW_TRACKING_URI = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(NotFound):
            mirror_model(name)
    finally:
        server.shutdown()
    assert not RegisteredModel.objects.get(name=name).deleted_in_mlflow
    assert not RegistryEntry.objects.filter(model=name, deleted_in_mlflow=True).exists()
