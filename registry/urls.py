"""Addresses of the registry, below /registry/."""

from __future__ import annotations

from django.urls import path

from registry.views import (
    card,
    deprecate,
    emergency,
    mirror,
    model_list,
    models,
    people,
    policies,
    policy_editor,
    queue,
    requests,
    review,
    versions,
)

app_name = "registry"
urlpatterns = [
    path("", model_list.models, name="home"),
    path("mirror/", mirror.mirror, name="mirror"),
    path("models/names/", model_list.model_names, name="model_names"),
    path("models/export/", model_list.export, name="models_export"),
    # The more specific ones first: a model's name may hold a slash.
    path(
        "models/<path:name>/versions/<int:number>/",
        versions.version,
        name="version",
    ),
    path("models/<path:name>/versions/<int:number>/stop/", emergency.stop, name="emergency_stop"),
    path(
        "models/<path:name>/versions/<int:number>/deprecate/", deprecate.deprecate, name="deprecate"
    ),
    path("models/<path:name>/versions/<int:number>/card/", card.card, name="card"),
    path("models/<path:name>/compare/", versions.compare_two, name="compare"),
    path("models/<path:name>/", models.model, name="model"),
    path("promotions/", queue.promotions, name="promotions"),
    path("promotions/export/", queue.export, name="promotions_export"),
    path("promotions/new/", requests.new, name="request"),
    path("promotions/<int:pk>/", review.promotion, name="promotion"),
    path("promotions/<int:pk>/reviewers/", review.reviewers, name="promotion_reviewers"),
    path("promotions/<int:pk>/refresh/", review.refresh, name="promotion_refresh"),
    path("promotions/<int:pk>/break-glass/", emergency.past_gates, name="break_glass"),
    path("promotions/<int:pk>/break-glass/judge/", emergency.judge, name="judge_break_glass"),
    path("people/", people.people, name="people"),
    path("policies/", policies.policies, name="policies"),
    path("policies/edit/", policy_editor.editor, name="policy_editor"),
    path("policies/edit/check/", policy_editor.check, name="policy_check"),
    path("policies/edit/replay/", policy_editor.replayed, name="policy_replay"),
    path("policies/<slug:name>/compare/", policies.compare, name="policy_compare"),
    path("policies/<slug:name>/<int:version>/", policies.policy, name="policy"),
    path("policies/<slug:name>/<int:version>/document/", policies.document, name="policy_document"),
]
