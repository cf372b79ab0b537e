"""The nodes of both pipelines in words. A test holds these equal to the pipelines' own orders."""

from __future__ import annotations

TRAINING_STEPS = {
    "check_qc_gate": "Check data quality",
    "load_splits": "Split the rows",
    "enforce_splits": "Check the splits",
    "detect_class_imbalance": "Measure class imbalance",
    "fit_preprocessing": "Fit preprocessing",
    "apply_resampling": "Balance the training rows",
    "tune_hyperparameters": "Tune hyperparameters",
    "train_model": "Train the model",
    "evaluate_model": "Evaluate",
    "log_to_mlflow": "Log to MLflow",
    "save_checkpoint": "Keep the model",
}
SELECTION_STEPS = {
    "analyze_historical": "Look at past runs",
    "filter_algorithms": "Apply the constraints",
    "rank_candidates": "Rank candidates",
    "run_benchmarks": "Benchmark the best",
    "select_primary_candidate": "Choose",
    "compare_baselines": "Compare with baselines",
    "generate_rationale": "Write the rationale",
    "register_selection": "Log to MLflow",
    "summary": "Sum up",
}


def words(name: str) -> str:
    """A node's name for people."""
    known = {**TRAINING_STEPS, **SELECTION_STEPS}
    return known.get(name, name.replace("_", " ").capitalize())
