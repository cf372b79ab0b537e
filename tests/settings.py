"""Settings of a test run: the product's own, on a throwaway data directory.

SQLite by default; `TEST_DATABASE_URL=postgresql://…` runs the same tests there. The environment
of the person who starts the tests does not reach them.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import tempfile
from pathlib import Path

from tests import mlflow_process

_OURS = ("E2I_", "MLFLOW_", "CELERY_", "SECRET_KEY", "DATABASE_URL", "ALLOWED_HOSTS", "CSRF_")
_PORTS = ("WEB_PORT", "GATEWAY_PORT", "DEBUG")
_KEPT = "E2I_TEST_"

for _name in [name for name in os.environ if name.startswith(_OURS) or name in _PORTS]:
    if not _name.startswith(_KEPT):
        del os.environ[_name]

# One directory a run, shared by all xdist workers, and in it one data directory a worker.
if "E2I_TEST_DIR" not in os.environ:
    os.environ["E2I_TEST_DIR"] = tempfile.mkdtemp(prefix="e2i-tests-")
    atexit.register(mlflow_process.clean_up, Path(os.environ["E2I_TEST_DIR"]))
RUN_DIR = Path(os.environ["E2I_TEST_DIR"])
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
os.environ["E2I_DATA_DIR"] = str(RUN_DIR / _WORKER)
# Nothing listens there: a test that needs MLflow asks for the `mlflow_server` fixture.
os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["E2I_GATEWAY_URL"] = "http://127.0.0.1:9"
if os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
# Tests share two cores with what they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from e2i_site.settings import *  # noqa: E402, F403
from e2i_site.settings import BASE_DIR, DATA_DIR, DATABASES, STORAGES  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: threads and other processes of a test must see it.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    )
else:
    # The same name each time, so that what a killed run left is replaced; another per checkout.
    _checkout = hashlib.sha256(str(BASE_DIR).encode()).hexdigest()[:8]
    DATABASES["default"]["TEST"] = {"NAME": f"test_e2i_{_checkout}"}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AXES_ENABLED = False
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_AUTOREFRESH = True
