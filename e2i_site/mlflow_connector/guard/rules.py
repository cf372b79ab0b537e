"""Which changes are E2I's alone. Each rule answers with the reason of a refusal, or with None."""

from __future__ import annotations

from collections.abc import Callable

from e2i_site.mlflow_connector.guard.calls import Fields, segments, target
from e2i_site.mlflow_connector.guard.governed import Governed, Version, note_digest

Rule = Callable[[Governed, Fields], "str | None"]

ALIASES = frozenset({"staging", "shadow", "production", "champion"})
TAG_PREFIX = "e2i."


def rule_for(method: str, path: str) -> Rule | None:
    """The rule for a call that may change something governed; None lets it through unread."""
    found = target(path)
    if found is None:
        return None
    api, call = found
    if api == "mlflow-artifacts":
        return _artifact(method, segments(call))
    if call.startswith("logged-models/"):
        return _logged_model(method, call.split("/")[1:])
    return RULES.get(call)


def _alias(governed: Governed, fields: Fields) -> str | None:
    name, alias = fields["name"], fields["alias"]
    if alias.casefold() not in ALIASES:
        return None
    return _of_model(governed, name, f"The alias {alias!r} of {name}", fields["version"])


def _model(governed: Governed, fields: Fields) -> str | None:
    name = fields["name"]
    return _of_model(governed, name, f"The model {name}")


def _stage(governed: Governed, fields: Fields) -> str | None:
    name, version = fields["name"], fields["version"]
    return _of_model(governed, name, f"The stage of {name} v{version}", version)


def _e2i_tag(governed: Governed, fields: Fields) -> str | None:
    name, key = fields["name"], fields["key"]
    if not key.casefold().startswith(TAG_PREFIX):
        return None
    return _of_model(governed, name, f"The tag {key} of {name}", fields["version"])


def _of_model(governed: Governed, name: str, what: str, version: str = "") -> str | None:
    if not governed.known:
        return _unknown(what)
    if name not in governed.models:
        return None
    return _refusal(what, governed.page_of(name, version))


def _version(governed: Governed, fields: Fields) -> str | None:
    name, number = fields["name"], fields["version"]
    what = f"{name} v{number}"
    if not governed.known:
        return _unknown(what)
    if (name, number) not in governed.versions:
        return None
    return _refusal(what, governed.page_of(name, number))


def _description(governed: Governed, fields: Fields) -> str | None:
    """People may write what they like around E2I's paragraph."""
    version = governed.versions.get((fields["name"], fields["version"]))
    if version is None or not version.note or note_digest(fields["description"]) == version.note:
        return None
    what = f"E2I's paragraph in the description of {version.model} v{version.version}"
    return _refusal(what, governed.page_of(version.model, version.version))


def _run(governed: Governed, fields: Fields) -> str | None:
    if not governed.known:
        return _unknown(f"Run {', '.join(sorted(fields.run_ids))}")
    return _of_runs(governed, fields.run_ids & governed.runs.keys())


def _ended_run(governed: Governed, fields: Fields) -> str | None:
    """A run that goes on may log; nothing is known about it while the list cannot be read."""
    return _of_runs(governed, fields.run_ids & governed.ended)


def _of_runs(governed: Governed, run_ids: set[str]) -> str | None:
    found = min(run_ids, default=None)
    return _evidence(governed, governed.runs[found], f"Run {found}") if found else None


def _experiment(governed: Governed, fields: Fields) -> str | None:
    found = fields["experiment_id"]
    what = f"Experiment {found}"
    if not governed.known:
        return _unknown(what)
    model = governed.experiments.get(found)
    return (
        _refusal(f"{what}, which holds runs of {model},", governed.page_of(model))
        if model
        else None
    )


def _logged_model(method: str, parts: list[str]) -> Rule:
    """DELETE and PATCH of `logged-models/ID`, and of its tags and params."""
    what = f"Logged model {parts[0]}"

    def rule(governed: Governed, fields: Fields) -> str | None:
        if not governed.known and method == "DELETE" and len(parts) == 1:
            return _unknown(what)
        return _evidence(governed, governed.logged_models.get(parts[0]), what)

    return rule


def _artifact(method: str, parts: list[str] | None) -> Rule:
    """Files below the folder of a governed run or logged model: `EXPERIMENT/…/ID/artifacts/…`."""
    if parts is None:
        return lambda governed, fields: "The file's path cannot be read. Nothing was changed."
    what = f"The file {parts[-1]!r}" if parts else "The folder of all files"

    def rule(governed: Governed, fields: Fields) -> str | None:
        if not governed.known and method == "DELETE":
            return _unknown(what)
        for part in parts:
            if part in governed.ended or part in governed.logged_models:
                owner = governed.logged_models.get(part) or governed.runs[part]
                return _evidence(governed, owner, what)
        if method == "DELETE" and _holds_governed(governed, parts):
            return _refusal(what, f"{governed.site}/registry/")
        return None

    return rule


def _holds_governed(governed: Governed, parts: list[str]) -> bool:
    """Whether deleting this folder would take governed files with it: an experiment's, or all."""
    return (
        not parts
        or parts[-1] in governed.experiments
        or (parts[-1] == "models" and parts[0] in governed.experiments)
    )


def _evidence(governed: Governed, version: Version | None, what: str) -> str | None:
    if version is None:
        return None
    name, number = version.model, version.version
    return _refusal(
        f"{what} is evidence for {name} v{number}, which", governed.page_of(name, number)
    )


def _refusal(what: str, page: str) -> str:
    return f"{what} is governed by E2I and cannot be changed by hand. See {page}"


def _unknown(what: str) -> str:
    return (
        f"{what} may be governed by E2I, whose list of governed models cannot be read. Nothing "
        "was changed. Ask whoever runs E2I to look at E2I_GUARD_LIST and the worker."
    )


RULES: dict[str, Rule] = {
    "registered-models/alias": _alias,
    "registered-models/rename": _model,
    "registered-models/delete": _model,
    "registered-models/set-tag": _e2i_tag,
    "registered-models/delete-tag": _e2i_tag,
    "model-versions/transition-stage": _stage,
    "model-versions/set-tag": _e2i_tag,
    "model-versions/delete-tag": _e2i_tag,
    "model-versions/delete": _version,
    "model-versions/update": _description,
    "experiments/delete": _experiment,
    "runs/delete": _run,
    "runs/update": _ended_run,
    "runs/set-tag": _ended_run,
    "runs/delete-tag": _ended_run,
    "runs/log-batch": _ended_run,
    "runs/log-inputs": _ended_run,
    "runs/log-metric": _ended_run,
    "runs/log-model": _ended_run,
    "runs/log-parameter": _ended_run,
    "runs/outputs": _ended_run,
    "upload-artifact": _ended_run,
    "artifacts/presigned-upload-url": _ended_run,
}
