"""What people fill in to ask a question, to start a selection, and to start a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from training.actions.request_selection import MAX_FOLDS
from training.actions.request_training import MAX_SECONDS, MAX_TRIALS
from training.models import Dataset, Experiment, Selection
from training.models.experiment import CRITERIA, is_measured
from training.pipeline.algorithms import suits
from training.pipeline.types import Balancing, Problem
from training.queries import CRITERION_LABELS

MAX_MINUTES = int(MAX_SECONDS // 60)
_BALANCING = {
    Balancing.NONE: "None",
    Balancing.CLASS_WEIGHT: "Class weights",
    Balancing.OVERSAMPLE: "Random over-sampling",
    Balancing.UNDERSAMPLE: "Random under-sampling",
    Balancing.SMOTE: "SMOTE",
    Balancing.SMOTE_TOMEK: "SMOTE and Tomek links",
    Balancing.COMBINED: "Over- and under-sampling",
}


if TYPE_CHECKING:
    _ExperimentForm = forms.ModelForm[Experiment]
    _DatasetField = forms.ModelChoiceField[Dataset]
else:
    _ExperimentForm = forms.ModelForm
    _DatasetField = forms.ModelChoiceField


class ExperimentForm(_ExperimentForm):
    """A new experiment. Its data set fixes the target and the type of problem."""

    class Meta:
        model = Experiment
        fields = (
            "name",
            "experiment_id",
            "dataset",
            "description",
            "prediction_target",
            "target_population",
            "observation_window_days",
            "prediction_horizon_days",
            *CRITERIA,
        )
        labels = {
            "experiment_id": "Id",
            "dataset": "Data set",
            "prediction_target": "What is predicted",
            "observation_window_days": "Observation window, days",
            "prediction_horizon_days": "Prediction horizon, days",
        }
        help_texts = {
            "name": "The question in a few words, as in “Any visit within a year”.",
            "experiment_id": "Lower-case letters, digits and dashes. It names the experiment in "
            "MLflow and cannot be changed.",
            "description": "Why the question is asked, and what an answer is used for.",
            "prediction_target": "In words; left empty, the target column of the data set.",
        }
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"] = DatasetField(
            queryset=Dataset.objects.defer("columns", "provenance"),
            label="Data set",
            empty_label="Choose one",
        )
        self.fields["prediction_target"].required = False
        for name, (_, direction) in CRITERIA.items():
            least = "At least" if direction == "min" else "At most"
            self.fields[name].label = f"{CRITERION_LABELS[name]}: {least.lower()}"
            self.fields[name].widget.attrs["step"] = "any"

    def clean(self) -> dict[str, Any]:
        """An experiment without criteria is possible; one with those of other problems is not."""
        found: dict[str, Any] = super().clean() or {}
        dataset = found.get("dataset")
        if dataset is None:
            return found
        for name, (metric, _) in CRITERIA.items():
            given = found.get(name) is not None
            if given and not is_measured(metric, dataset.problem_type):
                problem = dataset.get_problem_type_display().lower()
                self.add_error(name, f"It is not measured for a {problem} problem.")
        return found

    def act(self) -> dict[str, Any]:
        """Arguments for the action."""
        data = dict(self.cleaned_data)
        criteria = {name: data.pop(name) for name in CRITERIA}
        return {**data, "criteria": {k: v for k, v in criteria.items() if v is not None}}

    @property
    def question_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name not in CRITERIA]

    @property
    def criteria_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in CRITERIA]


class DatasetField(_DatasetField):
    """A data set with what tells it from another of the same name."""

    def label_from_instance(self, obj: Dataset) -> str:
        problem = obj.get_problem_type_display().lower()
        return f"{obj.name} — {obj.row_count:,} rows, {problem}, {obj.digest[:8]}"


class SelectionForm(forms.Form):
    """Constraints of a selection; an empty field sets no limit."""

    max_latency_ms = forms.FloatField(
        label="Latency for one row, at most", required=False, help_text="In ms, as benchmarked."
    )
    max_memory_gb = forms.FloatField(
        label="Memory, at most", required=False, help_text="In GB, of the fitted model."
    )
    minimum_interpretability = forms.FloatField(
        label="Interpretability, at least",
        required=False,
        min_value=0,
        max_value=1,
        help_text="0 to 1; linear models have 1, boosted trees 0.6.",
    )
    exclude = forms.MultipleChoiceField(
        label="Leave out", required=False, widget=forms.CheckboxSelectMultiple
    )
    preferred = forms.MultipleChoiceField(
        label="Prefer",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="A preference adds 0.10 to the selection score.",
    )
    top = forms.IntegerField(label="Candidates to benchmark", initial=3, min_value=1, max_value=8)
    folds = forms.IntegerField(
        label="Folds of cross-validation", initial=5, min_value=2, max_value=MAX_FOLDS
    )

    def __init__(self, *args: Any, experiment: Experiment, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(name, name) for name in suits(Problem(experiment.problem_type))]
        for field in ("exclude", "preferred"):
            self.fields[field].choices = names  # type: ignore[attr-defined]
        for field in ("max_latency_ms", "max_memory_gb", "minimum_interpretability"):
            self.fields[field].widget.attrs["step"] = "any"

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        if both := set(found.get("exclude", ())) & set(found.get("preferred", ())):
            names = ", ".join(sorted(both))
            self.add_error("preferred", f"{names} cannot be left out and preferred.")
        return found

    def act(self) -> dict[str, Any]:
        """Arguments for the action."""
        data = dict(self.cleaned_data)
        sizes = {"top": data.pop("top"), "folds": data.pop("folds")}
        constraints = {name: value for name, value in data.items() if value not in (None, [])}
        return {"constraints": constraints, **sizes}


class TrainingForm(forms.Form):
    """What to train, and how long to tune it."""

    algorithm = forms.ChoiceField(label="Algorithm", required=False)
    trials = forms.IntegerField(
        label="Trials",
        initial=50,
        min_value=0,
        max_value=MAX_TRIALS,
        help_text="Of the search for hyperparameters; 0 uses the defaults.",
    )
    minutes = forms.FloatField(
        label="Time limit of the search, minutes",
        initial=60,
        min_value=0.1,
        max_value=MAX_MINUTES,
    )
    folds = forms.IntegerField(
        label="Folds of cross-validation", initial=3, min_value=2, max_value=MAX_FOLDS
    )
    balancing = forms.ChoiceField(
        label="Balancing of classes",
        required=False,
        help_text="On training rows only. Unless chosen, classes are weighted where the rarest "
        "holds under 20 %.",
    )
    seed = forms.IntegerField(label="Seed", initial=42, min_value=0, max_value=2**31 - 1)

    def __init__(
        self, *args: Any, experiment: Experiment, selection: Selection | None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        problem = Problem(experiment.problem_type)
        names = [(name, name) for name in suits(problem)]
        chosen = selection.selected_algorithm if selection else ""
        first = [("", f"As selected: {chosen}")] if chosen else [("", "Choose one")]
        self.fields["algorithm"].choices = [*first, *names]  # type: ignore[attr-defined]
        self.fields["algorithm"].required = not chosen
        self.fields["minutes"].widget.attrs["step"] = "any"
        if problem is Problem.REGRESSION:
            del self.fields["balancing"]
        else:
            self.fields["balancing"].choices = [  # type: ignore[attr-defined]
                ("", "As the data ask for"),
                *((value.value, words) for value, words in _BALANCING.items()),
            ]

    def act(self) -> dict[str, Any]:
        """Arguments for the action."""
        data = dict(self.cleaned_data)
        minutes = data.pop("minutes")
        return {**data, "timeout_seconds": 60.0 * minutes}
