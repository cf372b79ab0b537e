"""Training in the admin: everything to see, nothing to change past the actions."""

from django.contrib import admin

from e2i_site.core.admin import ReadOnlyAdmin
from training import models


@admin.register(models.Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "problem_type", "target", "row_count", "created_at")
    list_filter = ("kind", "problem_type")
    search_fields = ("name", "digest")


@admin.register(models.Experiment)
class ExperimentAdmin(ReadOnlyAdmin):
    list_display = ("experiment_id", "name", "problem_type", "dataset", "created_at")
    list_filter = ("problem_type",)
    search_fields = ("experiment_id", "name")
    list_select_related = ("dataset",)


@admin.register(models.MlflowExperiment)
class MlflowExperimentAdmin(ReadOnlyAdmin):
    list_display = ("mlflow_id", "name", "agent_type", "deleted", "synced_at")
    list_filter = ("agent_type", "deleted")
    search_fields = ("name", "mlflow_id")


@admin.register(models.LoggedModel)
class LoggedModelAdmin(ReadOnlyAdmin):
    list_display = ("model_id", "name", "status", "mlflow_experiment", "created_at")
    list_filter = ("status", "deleted_in_mlflow")
    search_fields = ("model_id", "name", "source_run_id")
    list_select_related = ("mlflow_experiment",)


@admin.register(models.Selection)
class SelectionAdmin(ReadOnlyAdmin):
    list_display = ("id", "experiment", "status", "selected_algorithm", "created_at")
    list_filter = ("status",)
    search_fields = ("experiment__experiment_id", "mlflow_run_id")
    list_select_related = ("experiment",)


@admin.register(models.Candidate)
class CandidateAdmin(ReadOnlyAdmin):
    list_display = ("selection", "algorithm", "role", "outcome", "combined_score")
    list_filter = ("role", "outcome", "algorithm")
    list_select_related = ("selection__experiment",)


@admin.register(models.TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    list_display = ("id", "run_name", "experiment", "algorithm", "status", "source", "started_at")
    list_filter = ("status", "source", "role", "algorithm", "mlflow_available")
    search_fields = ("run_name", "mlflow_run_id", "experiment__experiment_id")
    list_select_related = ("experiment",)


@admin.register(models.PipelineNode)
class PipelineNodeAdmin(ReadOnlyAdmin):
    list_display = ("name", "training_run", "selection", "attempt", "outcome", "started_at")
    list_filter = ("outcome", "name")
    list_select_related = ("training_run", "selection__experiment")


@admin.register(models.DataQualityReport)
class DataQualityAdmin(ReadOnlyAdmin):
    list_display = ("training_run", "score", "passed", "created_at")
    list_filter = ("passed",)
    list_select_related = ("training_run",)


@admin.register(models.SplitDefinition)
class SplitAdmin(ReadOnlyAdmin):
    list_display = ("training_run", "strategy", "seed", "created_at")
    list_filter = ("strategy",)
    list_select_related = ("training_run",)


@admin.register(models.Study)
class StudyAdmin(ReadOnlyAdmin):
    list_display = ("name", "algorithm", "metric", "direction", "created_at")
    list_filter = ("algorithm",)
    search_fields = ("name",)


@admin.register(models.Trial)
class TrialAdmin(ReadOnlyAdmin):
    list_display = ("study", "number", "state", "value", "is_best")
    list_filter = ("state", "is_best")
    list_select_related = ("study",)
