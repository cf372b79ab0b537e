"""MLflow's application behind the guard: `mlflow server --app-name e2i-guard`."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from types import FunctionType

from e2i_site.core import env
from e2i_site.core.errors import ConfigurationError
from e2i_site.mlflow_connector.guard.governed import GovernedFile
from e2i_site.mlflow_connector.guard.middleware import App, Guard

# Where MLflow finds the name `e2i-guard`: a folder for PYTHONPATH that holds its entry point.
PLUGIN = Path(__file__).parent / "plugin"


def create_app() -> App:
    """The guarded application. A factory, so that only the serving process loads MLflow's.

    Raises:
        ConfigurationError: E2I_GUARD_TOKEN or E2I_GUARD_LIST is missing, or E2I_GUARD_APP is none
            of MLflow's applications.
    """
    token, listing = env.text("E2I_GUARD_TOKEN"), env.text("E2I_GUARD_LIST")
    if not token or not listing:
        raise ConfigurationError(
            "The guard needs E2I_GUARD_TOKEN (or E2I_GUARD_TOKEN_FILE) and E2I_GUARD_LIST; "
            "`manage.py mlflow_server` sets both."
        )
    application = _application(env.text("E2I_GUARD_APP"))
    return Guard(application, token=token, listing=GovernedFile(Path(listing)))


def applications() -> set[str]:
    """Names that MLflow's `--app-name` takes, such as basic-auth."""
    return {found.name for found in entry_points(group="mlflow.app")}


def _application(name: str) -> App:
    """MLflow's application of that name, found as MLflow does; by default the plain one."""
    made: App
    if not name:
        from mlflow.server.fastapi_app import app as made

        return made
    # One folder may be on the path twice.
    found = next(iter(entry_points(group="mlflow.app", name=name)), None)
    if found is None:
        known = ", ".join(sorted(applications()))
        raise ConfigurationError(f"E2I_GUARD_APP={name} is unknown to MLflow; it has {known}.")
    loaded = found.load()
    made = loaded() if isinstance(loaded, FunctionType) else loaded
    return made
