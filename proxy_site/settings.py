"""Settings of the process. The only module that reads the environment; all else is configured in the database."""

import hashlib
import hmac
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

from providers.proxies import Proxies
from proxy_site.environment import (
    base_url,
    data_directory,
    direct_hosts,
    encryption_keys,
    from_file_or_environment,
    given,
    host_names,
    mistaken,
    one_of,
    origins,
    proxy_address,
    redis_address,
    required_secret,
    seconds,
    switch,
    whole_number,
)
from proxy_site.roles import Role

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(os.environ.get("PROXY_API_ENV_FILE", str(BASE_DIR / ".env")))

# --------------------------------------------------------------------------------------------------- the process
VERSION = "0.1.0"
# Empty, it would mean every address.
HOST = given("PROXY_API_HOST") or "127.0.0.1"
PORT = whole_number("PROXY_API_PORT", default=8000, least=1, most=65535)
DATA_DIR = data_directory("PROXY_API_DATA_DIR", default=BASE_DIR / "var")
CONFIG_FILE = given("PROXY_API_CONFIG")
DATABASE_URL = from_file_or_environment("DATABASE_URL")
REDIS_URL = redis_address("REDIS_URL")
EMBEDDED = not DATABASE_URL
DEBUG = switch("PROXY_API_DEBUG")

# ------------------------------------------------------------------------------------------------------- secrets
SECRET_KEY = required_secret("PROXY_API_SECRET_KEY", data_dir=DATA_DIR, embedded=EMBEDDED)
ENCRYPTION_KEYS = encryption_keys("PROXY_API_ENCRYPTION_KEYS", data_dir=DATA_DIR, embedded=EMBEDDED)
# Client keys are stored as HMACs under this pepper: a leaked database alone opens no door.
KEY_PEPPER = hmac.digest(SECRET_KEY.encode(), b"llm-proxy client key pepper v1", hashlib.sha256).hex()
METRICS_TOKEN = from_file_or_environment("PROXY_API_METRICS_TOKEN")
METRICS_PUBLIC = switch("PROXY_API_METRICS_PUBLIC")

# Providers registered from the environment at start; the values go nowhere but into requests.
PROVIDER_KINDS_IN_ENVIRONMENT = (
    "OPENAI",
    "ANTHROPIC",
    "GROK",
    "PERPLEXITY",
    "BLACKBOX",
    "OPENROUTER",
    "COHERE",
    "AZURE",
)
PROVIDER_KEYS_IN_ENVIRONMENT = {
    f"PROXY_API_{kind}_API_KEY": value
    for kind in PROVIDER_KINDS_IN_ENVIRONMENT
    if (value := from_file_or_environment(f"PROXY_API_{kind}_API_KEY"))
}
AZURE_BASE_URL = base_url("PROXY_API_AZURE_BASE_URL")

# Finds the secret that a credential names (`api_key_env`), in NAME or NAME_FILE; empty when it is not set.
PROVIDER_SECRET = from_file_or_environment
MISTAKEN_VARIABLES = mistaken

# The environment wins over the same keys of a configuration file, but only where it says something.
SET_IN_ENVIRONMENT = frozenset(
    name
    for name in (
        "PROXY_API_HOST",
        "PROXY_API_PORT",
        "PROXY_API_DEBUG",
        "LOG_LEVEL",
        "HEALTH_CHECK_INTERVAL",
        "HEALTH_CHECK_CACHE_TTL",
        "PROVIDER_DISCOVERY_INTERVAL",
    )
    if given(name)
)

# ---------------------------------------------------------------------------------------------- control-plane numbers
HEALTH_CHECK_INTERVAL_S = whole_number("HEALTH_CHECK_INTERVAL", default=60, least=1)
HEALTH_CHECK_CACHE_TTL_S = whole_number("HEALTH_CHECK_CACHE_TTL", default=30)
PROVIDER_DISCOVERY_INTERVAL_S = whole_number("PROVIDER_DISCOVERY_INTERVAL", default=300, least=1)
HTTP_MAX_CONNECTIONS = whole_number("HTTP_MAX_CONNECTIONS", default=100, least=1)
HTTP_MAX_KEEPALIVE = whole_number("HTTP_MAX_KEEPALIVE", default=20)
HTTP_TIMEOUT_S = seconds("HTTP_TIMEOUT", default=5.0)
# What Kubernetes puts into every pod: the address of its API server, for discovery.
KUBERNETES_API_URL = (
    "https://{}:{}".format(
        # An IPv6 cluster gives a bare address.
        f"[{host}]" if ":" in (host := env.str("KUBERNETES_SERVICE_HOST")) else host,
        env.str("KUBERNETES_SERVICE_PORT", default="443"),
    )
    if "KUBERNETES_SERVICE_HOST" in os.environ
    else ""
)
# For calls, probes, lists of models and sources of discovery. The standard names, as operators set them for a whole
# machine and as whoever comes from another gateway expects them.
UPSTREAM_PROXIES = Proxies(
    https=proxy_address("HTTPS_PROXY"), http=proxy_address("HTTP_PROXY"), direct=direct_hosts("NO_PROXY")
)
UPSTREAM_CLIENT = one_of("PROXY_API_UPSTREAM_CLIENT", {"lean", "aiohttp"}, default="lean")
WORKERS = whole_number("PROXY_API_WORKERS", default=1, least=1)
# What this process serves: all, gateway or admin (see proxy_site.roles). `serve --role` sets it.
ROLE = one_of("PROXY_API_ROLE", frozenset(Role), default=Role.ALL)
# Set by the supervisor for the workers it starts.
SUPERVISOR_PID = whole_number("PROXY_API_SUPERVISOR_PID", default=0)
DRAIN_TIMEOUT_S = seconds("PROXY_API_DRAIN_TIMEOUT", default=30.0)
# Days that single ledger rows are kept; 0 keeps them for good. Their sums by hour and day stay.
USAGE_RETENTION_DAYS = whole_number("PROXY_API_USAGE_RETENTION_DAYS", default=400)

# ------------------------------------------------------------------------------------------------------ Django itself
ALLOWED_HOSTS = host_names("PROXY_API_ALLOWED_HOSTS") or ["*"]
CSRF_TRUSTED_ORIGINS = origins("PROXY_API_TRUSTED_ORIGINS")
ROOT_URLCONF = "proxy_site.urls"
ASGI_APPLICATION = "proxy_site.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "proxy_site.formats"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("pt-br", _("Brazilian Portuguese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]

INSTALLED_APPS = [
    # Only `runserver` needs daphne, and importing Twisted takes half a second of every start.
    *(["daphne"] if "runserver" in sys.argv else []),
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "simple_history",
    "axes",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "django_celery_beat",
    "django_prometheus",
    "accounts",
    "providers",
    "monitoring",
    "routing",
    "proxy_site",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "proxy_site.content_policy.ContentPolicyMiddleware",
    "proxy_site.errors.ApiErrorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "proxy_site.request_reading.RequestMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "proxy_site.key_authentication.KeyAuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

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
                "django.template.context_processors.i18n",
            ]
        },
    }
]

STATIC_URL = "/static/"
# ninja's files for /docs: as an installed app it would be imported before the first answer, and pydantic with it.
STATICFILES_DIRS = [BASE_DIR / "static", Path(find_spec("ninja").origin).parent / "static"]  # type: ignore[union-attr,arg-type]
STATIC_ROOT = DATA_DIR / "staticfiles"
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/dashboard/"
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_VERBOSE = False
AXES_HTTP_RESPONSE_CODE = 429
AXES_LOCKOUT_TEMPLATE = "locked_out.html"
CSRF_FAILURE_VIEW = "proxy_site.errors.csrf_failure"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = switch("PROXY_API_SECURE_COOKIES")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if switch("PROXY_API_BEHIND_TLS_PROXY") else None
# Both are for the pages of people: clients of the API and probes are not redirected.
SECURE_SSL_REDIRECT = switch("PROXY_API_SSL_REDIRECT")
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz|health|metrics)$"]
SECURE_HSTS_SECONDS = whole_number("PROXY_API_HSTS_SECONDS", default=0)
# Subdomains and preload lists: what else lives under a domain is for its owner to decide, not for this program.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
# See proxy_site.content_policy. Not enforced, violations are only told in the browser's console.
CONTENT_SECURITY_POLICY = one_of(
    "PROXY_API_CONTENT_SECURITY_POLICY", {"enforce", "report-only", "off"}, default="enforce"
)


# ------------------------------------------------------------------------------------------------------------ storage
VANISHED_HOST = {"tcp_user_timeout": 10_000, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""Seconds, the first milliseconds. A host that is gone closes no connection: without these the kernel sends to it for a
quarter of an hour, and waits for its answer two, while PostgreSQL answers at another address. DATABASE_URL may say others."""


def database() -> dict[str, Any]:
    """SQLite in the data directory unless DATABASE_URL says PostgreSQL."""
    if not DATABASE_URL:
        # IMMEDIATE takes the write lock at BEGIN: a transaction that reads and then writes cannot fail half-way.
        pragmas = (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000; PRAGMA foreign_keys=ON;"
        )
        return {
            "ENGINE": "proxy_site.databases.sqlite3",
            "NAME": DATA_DIR / "llm_proxy.sqlite3",
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 5, "init_command": pragmas},
            # Opening takes longer than most of our queries. Kept by threads that go on, not by those of requests.
            "CONN_MAX_AGE": 60,
        }
    if not DATABASE_URL.startswith(("postgres://", "postgresql://", "psql://", "pgsql://")):
        raise ImproperlyConfigured("DATABASE_URL must be a postgres:// address (SQLite is the default without it).")
    try:
        config: dict[str, Any] = environ.Env.db_url_config(DATABASE_URL)
    except ValueError:
        # Its words are not told on: where a slash ends the host too early, they repeat a part of the password.
        raise ImproperlyConfigured(
            "DATABASE_URL has no port that could be one; in user and password write / as %2F and ? as %3F."
        ) from None
    config["ENGINE"] = "proxy_site.databases.postgresql"
    pool = {
        "min_size": 1,
        "max_size": whole_number("PROXY_API_DATABASE_POOL", default=8, least=1),
        "timeout": 5,
        # Then it leaves off until it is asked again, which is each second. By default its pauses double for five minutes,
        # so a database that is back would wait for us as long again as it was away.
        "reconnect_timeout": 2,
    }
    config["OPTIONS"] = {**VANISHED_HOST, **config.get("OPTIONS", {}), "pool": pool, "connect_timeout": 3}
    config["CONN_MAX_AGE"] = 0
    return config


DATABASES = {"default": database()}


def channel_layer() -> dict[str, Any]:
    if not REDIS_URL:
        return {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    # Imported here: most installations have no Redis.
    from redis.connection import parse_url

    # Messages reach every database of a server: gateways in different ones must not hear each other.
    database = parse_url(REDIS_URL).get("db") or 0  # type: ignore[no-untyped-call]
    prefix = f"llm_proxy_ws.{database}"
    return {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": prefix},
    }


CHANNEL_LAYERS: dict[str, Any] = {"default": channel_layer()}

# ------------------------------------------------------------------------------------------------------ background work
CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "proxy_site.patient_beat:PatientScheduler"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

# -------------------------------------------------------------------------------------------------------------- APIs
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PERMISSION_CLASSES": ["proxy_site.rest_defaults.Administrators"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "proxy_site.key_authentication.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer", "proxy_site.rest_defaults.StaffPages"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "proxy_site.rest_defaults.Negotiation",
    "DEFAULT_PAGINATION_CLASS": "proxy_site.rest_queries.Pages",
    "EXCEPTION_HANDLER": "proxy_site.rest_defaults.openai_errors",
    "DEFAULT_PARSER_CLASSES": ["proxy_site.request_reading.BoundedJson", "rest_framework.parsers.FormParser"],
    "DEFAULT_FILTER_BACKENDS": [
        "proxy_site.rest_queries.Filters",
        "proxy_site.rest_queries.Search",
        "proxy_site.rest_queries.Ordering",
    ],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "LLM Proxy API",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    # In 3.1 what is required is required of requests as well, also what only answers have.
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {"RouteStrategyEnum": "routing.models.Strategy"},
}

# ------------------------------------------------------------------------------------------------------------ logging
LOG_LEVEL = one_of(
    "LOG_LEVEL", {"DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL"}, default="INFO", upper=True
)
LOG_FORMAT = one_of("LOG_FORMAT", {"json", "console"}, default="json")
LOGGING_CONFIG = None

_BLUE = ("97% .014 255", "93.2% .032 256", "88.2% .059 254", "80.9% .105 252", "72% .14 255", "62.3% .19 260",
         "49% .2 262", "43% .19 263", "38% .17 264", "33% .14 265", "26% .09 268")  # fmt: skip
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "proxy_site.admin_site.site_title",
    "SITE_HEADER": "proxy_site.admin_site.site_title",
    "SITE_SYMBOL": "hub",
    "SITE_URL": "/dashboard/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/mark.svg")}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "BORDER_RADIUS": "6px",
    "STYLES": [lambda request: static("css/admin.css")],
    "SCRIPTS": [lambda request: static("js/admin.js")],
    "ENVIRONMENT": "proxy_site.admin_site.environment",
    "DASHBOARD_CALLBACK": "proxy_site.admin_site.home",
    "COLORS": {
        "primary": {
            str(step): f"oklch({colour})" for step, colour in zip((50, *range(100, 1000, 100), 950), _BLUE, strict=True)
        }
    },
    "SIDEBAR": {"show_search": True, "navigation": "proxy_site.admin_site.navigation"},
}
