"""The registry in the admin: everything to see, nothing to change past the actions."""

from django.contrib import admin

from e2i_site.core.admin import ReadOnlyAdmin
from registry import models


@admin.register(models.RegisteredModel)
class RegisteredModelAdmin(ReadOnlyAdmin):
    list_display = ("name", "experiment", "policy_name", "deleted_in_mlflow", "synced_at")
    list_filter = ("policy_name", "deleted_in_mlflow")
    search_fields = ("name",)
    list_select_related = ("experiment",)


@admin.register(models.RegistryEntry)
class RegistryEntryAdmin(ReadOnlyAdmin):
    list_display = ("model_id", "model_version", "stage", "algorithm", "auc", "registered_at")
    list_filter = ("stage", "algorithm")
    search_fields = ("model__name", "mlflow_run_id", "artifact_digest")


@admin.register(models.StageChange)
class StageChangeAdmin(ReadOnlyAdmin):
    list_display = ("entry", "from_stage", "to_stage", "cause", "actor", "at")
    list_filter = ("to_stage", "cause")
    list_select_related = ("entry", "actor")


@admin.register(models.PromotionPolicy)
class PromotionPolicyAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "notice", "published_by", "published_at")
    search_fields = ("name",)
    list_select_related = ("published_by",)


@admin.register(models.Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    list_display = ("id", "entry", "from_stage", "to_stage", "state", "requester", "created_at")
    list_filter = ("state", "to_stage")
    search_fields = ("entry__model__name", "requester__username")
    list_select_related = ("entry", "requester")


@admin.register(models.GateResult)
class GateResultAdmin(ReadOnlyAdmin):
    list_display = ("promotion", "gate_id", "outcome", "measured", "limit", "evaluated_at")
    list_filter = ("outcome", "gate_id")
    list_select_related = ("promotion__entry",)


@admin.register(models.Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = ("promotion", "reviewer", "decision", "void_reason", "created_at")
    list_filter = ("decision",)
    list_select_related = ("promotion__entry", "reviewer")


@admin.register(models.BreakGlass)
class BreakGlassAdmin(ReadOnlyAdmin):
    list_display = ("promotion", "actor", "signer_name", "reason", "at")
    list_select_related = ("promotion__entry", "actor")


@admin.register(models.BreakGlassReview)
class BreakGlassReviewAdmin(ReadOnlyAdmin):
    list_display = ("break_glass", "reviewer", "accepted", "reason", "at")
    list_filter = ("accepted",)
    list_select_related = ("break_glass__promotion__entry", "reviewer")


@admin.register(models.ReviewAssignment)
class ReviewAssignmentAdmin(ReadOnlyAdmin):
    list_display = ("promotion", "person", "group", "assigned_by", "assigned_at")
    list_select_related = ("promotion__entry", "person", "assigned_by")


@admin.register(models.SyncState)
class SyncStateAdmin(ReadOnlyAdmin):
    list_display = ("source", "mode", "succeeded_at", "failed_at", "server_version")


@admin.register(models.VersionMeasurement)
class VersionMeasurementAdmin(ReadOnlyAdmin):
    list_display = ("entry", "kind", "state", "sample_size", "seconds", "measured_at")
    list_filter = ("kind", "state")
    search_fields = ("entry__model__name", "artifact_digest")
    list_select_related = ("entry",)


@admin.register(models.VersionSignature)
class VersionSignatureAdmin(ReadOnlyAdmin):
    list_display = ("entry", "artifact_digest", "key_fingerprint", "signed_at")
    search_fields = ("entry__model__name", "artifact_digest")
    list_select_related = ("entry",)


@admin.register(models.ModelCard)
class ModelCardAdmin(ReadOnlyAdmin):
    list_display = ("entry", "owner", "updated_by", "updated_at")
    search_fields = ("entry__model__name", "owner")
    list_select_related = ("entry", "updated_by")
