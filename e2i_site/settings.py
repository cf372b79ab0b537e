"""All settings, from the environment. `.env.example` lists every variable."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from e2i_site import logs
from e2i_site.core import env
from e2i_site.core.errors import ConfigurationError

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("E2I_DATA_DIR", str(BASE_DIR / "var"))).resolve()
try:
    DATA_DIR.mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise ConfigurationError(f"E2I_DATA_DIR={DATA_DIR} cannot be made: {error.strerror}.") from None


def _local_secret(name: str) -> str:
    """A random secret kept in the data directory, for installations that give none."""
    path = DATA_DIR / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48), encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


DEBUG = env.flag("DEBUG")
SECRET_KEY = env.text("SECRET_KEY") or _local_secret("secret-key")
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.items("CSRF_TRUSTED_ORIGINS")
# On when the site is reached over https: secure cookies, HSTS, redirect.
HTTPS = env.flag("E2I_HTTPS")

WEB_PORT = env.port("WEB_PORT", 8000)
MLFLOW_PORT = env.port("MLFLOW_PORT", 5000)
GATEWAY_PORT = env.port("GATEWAY_PORT", 8100)
MLFLOW_TRACKING_URI = env.url(
    "MLFLOW_TRACKING_URI", f"http://127.0.0.1:{MLFLOW_PORT}", schemes=("http", "https")
)
# MLflow's own database, for a full import that is many times faster than over REST.
MLFLOW_BACKEND_STORE_URI = env.url(
    "MLFLOW_BACKEND_STORE_URI",
    schemes=("sqlite", "postgresql", "postgres", "postgresql+psycopg2"),
)
# How many searches a full import has under way at once; as many as MLflow has workers is best.
E2I_SYNC_READERS = env.integer("E2I_SYNC_READERS", 2, minimum=1)
# Every run is read again within so many hours: how late a late edit can be seen.
E2I_SYNC_SWEEP_HOURS = env.number("E2I_SYNC_SWEEP_HOURS", 6, minimum=0.1)
# What people's browsers can reach; links go there.
MLFLOW_UI_URL = env.url(
    "MLFLOW_UI_URL", env.without_login(MLFLOW_TRACKING_URI), schemes=("http", "https")
)
GATEWAY_URL = env.url(
    "E2I_GATEWAY_URL", f"http://127.0.0.1:{GATEWAY_PORT}", schemes=("http", "https")
)
SITE_URL = env.url("E2I_SITE_URL", f"http://127.0.0.1:{WEB_PORT}", schemes=("http", "https"))
# MLflow's webhooks come to this address, signed with this secret.
MLFLOW_WEBHOOKS = env.flag("E2I_MLFLOW_WEBHOOKS", default=True)
MLFLOW_WEBHOOK_URL = env.url(
    "E2I_MLFLOW_WEBHOOK_URL", f"{SITE_URL.rstrip('/')}/webhooks/mlflow", schemes=("http", "https")
)
MLFLOW_WEBHOOK_SECRET = env.text("E2I_MLFLOW_WEBHOOK_SECRET") or _local_secret(
    "mlflow-webhook-secret"
)
# Content-addressed model files, their answers, and what waits to be written to MLflow.
ARTIFACT_STORE = DATA_DIR / "artifacts"
ANSWER_STORE = DATA_DIR / "answers"
MLFLOW_JOURNAL_DIR = DATA_DIR / "mlflow-journal"
# The guard in front of MLflow: whether `mlflow_server` starts it, the token by which it knows
# E2I, and the file from which it knows what is governed.
GUARD = env.flag("E2I_GUARD", default=True)
GUARD_TOKEN = env.text("E2I_GUARD_TOKEN") or _local_secret("guard-token")
GUARD_LIST = Path(env.text("E2I_GUARD_LIST", str(DATA_DIR / "guard" / "governed.json")))
# What `manage.py publish_policies` publishes.
POLICY_DIR = env.folder("E2I_POLICY_DIR", BASE_DIR / "policies")
# `manage.py make_signing_key` makes it; without it versions stay unsigned.
MODEL_SIGNING_KEY = env.text("E2I_MODEL_SIGNING_KEY", str(DATA_DIR / "keys" / "model-signing.pem"))

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "csp",
    "axes",
    "django_htmx",
    "template_partials",
    "django_filters",
    "django_celery_beat",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "e2i_site.core",
    "e2i_site.accounts",
    "e2i_site.trail",
    "e2i_site.jobs",
    "e2i_site.notifications",
    "e2i_site.audit",
    "e2i_site.activity",
    "training",
    "registry",
    "deployments",
    "e2i_site.demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "e2i_site.accounts.middleware.RoleRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "e2i_site.core.middleware.WiderPolicy",
    "django_htmx.middleware.HtmxMiddleware",
    "e2i_site.core.http.ErrorPages",
    "e2i_site.trail.context.TrailMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "e2i_site.urls"
WSGI_APPLICATION = "e2i_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "e2i_site.status.status_of_site",
            ],
        },
    },
]

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.database("DATABASE_URL", f"sqlite:///{DATA_DIR / 'e2i.sqlite3'}")
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # Compiling a page's query takes PostgreSQL ten times as long as answering it.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("options", "-c jit=off")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "accounts:login"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "e2i_site.accounts.views.locked_out"
# When set, /metrics asks for it as a bearer token.
METRICS_TOKEN = env.text("METRICS_TOKEN")

# Without EMAIL_URL nobody is mailed, and the pages say so.
EMAIL_CONFIGURED = bool(env.text("EMAIL_URL"))
vars().update(env.mail("EMAIL_URL"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("E2I_MAIL_FROM", "e2i@localhost")
# Private networks that outgoing webhooks may reach all the same.
WEBHOOK_ALLOWED_NETWORKS = env.networks("E2I_WEBHOOK_ALLOW")

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "e2i_site" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
MEDIA_ROOT = DATA_DIR / "media"

LOGGING = logs.configuration(
    env.text("E2I_LOG_LEVEL", "INFO").upper(), as_json=env.flag("E2I_LOG_JSON")
)

CELERY_BROKER_URL = env.url(
    "CELERY_BROKER_URL",
    f"sqla+sqlite:///{DATA_DIR / 'broker.sqlite3'}",
    schemes=("sqla+sqlite", "sqla+postgresql", "amqp", "amqps", "redis", "rediss"),
)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "e2i_site.accounts.tokens.ServiceToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.OrderingFilter",
    ],
    "EXCEPTION_HANDLER": "e2i_site.core.problems.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "E2I",
    "DESCRIPTION": "Governance for machine-learning models on MLflow.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "RunStatusEnum": "training.choices.RunStatus",
        "DeploymentStatusEnum": "deployments.choices.DeploymentStatus",
        "AuditRunStatusEnum": "e2i_site.audit.choices.RunStatus",
        "FindingStatusEnum": "e2i_site.audit.choices.FindingStatus",
        "CandidateRoleEnum": "training.choices.CandidateRole",
        "RunRoleEnum": "training.choices.RunRole",
        "RunSourceEnum": "training.choices.RunSource",
        "TrailSourceEnum": "e2i_site.trail.models.Source",
        "StageEnum": "registry.choices.Stage",
        "NodeOutcomeEnum": "training.choices.NodeOutcome",
        "CandidateOutcomeEnum": "training.choices.CandidateOutcome",
        "GateOutcomeEnum": "registry.choices.GateOutcome",
        "CheckOutcomeEnum": "e2i_site.audit.choices.Outcome",
        "PromotionStateEnum": "registry.choices.PromotionState",
        "JobStateEnum": "e2i_site.jobs.models.JobState",
        "WindowStateEnum": "deployments.choices.WindowState",
    },
}

# The admin's look: the site's accent, on the way back to it.
UNFOLD = {
    "SITE_TITLE": "E2I administration",
    "SITE_HEADER": "E2I administration",
    "SITE_URL": "/",
    "SITE_SYMBOL": "verified_user",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": True,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "239 243 254",
            "100": "224 232 252",
            "200": "194 210 249",
            "300": "152 178 244",
            "400": "110 146 243",
            "500": "77 125 242",
            "600": "43 87 199",
            "700": "34 73 171",
            "800": "29 61 140",
            "900": "25 50 112",
            "950": "16 32 74",
        }
    },
    "SIDEBAR": {"show_search": True, "show_all_applications": False},
}
