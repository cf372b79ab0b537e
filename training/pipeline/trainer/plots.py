"""Plots as PNG files, for people who look at the run in MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.pipeline.trainer.curves import Curves


def draw(
    folder: Path, curves: Curves, importance: Mapping[str, float], classes: Sequence[str]
) -> list[Path]:
    """Write every plot that these results have into `folder`; returns the files."""
    jobs: list[tuple[str, Callable[[Any], None]]] = []
    if curves.roc:
        jobs.append(("roc_curve", lambda axes: _roc(axes, curves)))
    if curves.pr:
        jobs.append(("pr_curve", lambda axes: _pr(axes, curves)))
    if curves.calibration:
        jobs.append(("calibration", lambda axes: _calibration(axes, curves)))
    if curves.confusion:
        jobs.append(("confusion_matrix", lambda axes: _confusion(axes, curves, classes)))
    if curves.residuals:
        jobs.append(("predicted_and_true", lambda axes: _residuals(axes, curves)))
    if importance:
        jobs.append(("feature_importance", lambda axes: _importance(axes, importance)))
    return [_save(folder / f"{name}.png", paint) for name, paint in jobs]


def _save(path: Path, paint: Callable[[Any], None]) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), dpi=100, layout="constrained")
    paint(figure.add_subplot())
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")
    return path


def _roc(axes: Any, curves: Curves) -> None:
    axes.plot(*zip(*(curves.roc or ()), strict=True))
    axes.plot([0, 1], [0, 1], linestyle=":", color="gray")
    axes.set(title="ROC, test split", xlabel="False positive rate", ylabel="True positive rate")


def _pr(axes: Any, curves: Curves) -> None:
    axes.plot(*zip(*(curves.pr or ()), strict=True))
    axes.set(title="Precision and recall, test split", xlabel="Recall", ylabel="Precision")
    axes.set_ylim(0, 1.02)


def _calibration(axes: Any, curves: Curves) -> None:
    mean, rate, _ = zip(*(curves.calibration or ()), strict=True)
    axes.plot(mean, rate, marker="o")
    axes.plot([0, 1], [0, 1], linestyle=":", color="gray")
    axes.set(
        title="Calibration, test split",
        xlabel="Mean predicted probability",
        ylabel="Share of positives",
    )


def _confusion(axes: Any, curves: Curves, classes: Sequence[str]) -> None:
    matrix = curves.confusion or ()
    axes.imshow(matrix, cmap="Blues")
    largest = max(max(row) for row in matrix)
    for i, row in enumerate(matrix):
        for j, count in enumerate(row):
            colour = "white" if count > largest / 2 else "black"
            axes.text(j, i, str(count), ha="center", va="center", color=colour)
    axes.set(title="Confusion matrix, test split", xlabel="Decided", ylabel="True")
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)


def _residuals(axes: Any, curves: Curves) -> None:
    predicted, true = zip(*(curves.residuals or ()), strict=True)
    axes.scatter(predicted, true, s=8)
    low, high = min(*predicted, *true), max(*predicted, *true)
    axes.plot([low, high], [low, high], linestyle=":", color="gray")
    axes.set(title="Predicted and true, test split", xlabel="Predicted", ylabel="True")


def _importance(axes: Any, importance: Mapping[str, float]) -> None:
    best = sorted(importance.items(), key=lambda item: item[1])[-20:]
    axes.barh([name for name, _ in best], [value for _, value in best])
    axes.set(title="Permutation importance, validation split", xlabel="Loss of the primary metric")
