"""MLflow's application behind the guard: `mlflow server --app-name e2i-guard`."""

from __future__ import annotations

from pathlib import Path

from e2i_site.core import env
from e2i_site.core.errors import ConfigurationError
from e2i_site.mlflow_connector.guard.governed import GovernedFile
from e2i_site.mlflow_connector.guard.middleware import App, Guard

# Where MLflow finds the name `e2i-guard`: a folder for PYTHONPATH that holds its entry point.
PLUGIN = Path(__file__).parent / "plugin"


def create_app() -> App:
    """The guarded application. A factory, so that only the serving process loads MLflow's.

    Raises:
        ConfigurationError: E2I_GUARD_TOKEN or E2I_GUARD_LIST is missing.
    """
    token, listing = env.text("E2I_GUARD_TOKEN"), env.text("E2I_GUARD_LIST")
    if not token or not listing:
        raise ConfigurationError(
            "The guard needs E2I_GUARD_TOKEN (or E2I_GUARD_TOKEN_FILE) and E2I_GUARD_LIST; "
            "`manage.py mlflow_server` sets both."
        )
    from mlflow.server.fastapi_app import app

    return Guard(app, token=token, listing=GovernedFile(Path(listing)))
