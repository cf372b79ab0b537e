"""Addresses below /training/."""

from __future__ import annotations

from django.urls import path

from training.views import compare, completion, datasets, experiment, home, run, selection, starts

app_name = "training"
urlpatterns = [
    path("", home.home, name="home"),
    path("runs/names/", completion.run_names, name="run_names"),
    path("runs/export/", home.export, name="runs_export"),
    path("compare/", compare.compare_runs, name="compare"),
    path("datasets/", datasets.datasets, name="datasets"),
    path("datasets/<int:pk>/", datasets.dataset, name="dataset"),
    path("experiments/", experiment.experiments, name="experiments"),
    path("experiments/new/", starts.new_experiment, name="experiment_new"),
    path("experiments/<slug:slug>/", experiment.experiment, name="experiment"),
    path("experiments/<slug:slug>/select/", starts.select, name="select"),
    path("experiments/<slug:slug>/train/", starts.train, name="train"),
    path("selections/<int:pk>/", selection.selection, name="selection"),
    path("selections/<int:pk>/cancel/", selection.cancel, name="selection_cancel"),
    path("runs/<int:pk>/", run.run, name="run"),
    path("runs/<int:pk>/cancel/", run.cancel, name="run_cancel"),
]
