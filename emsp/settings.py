"""All settings, and the only reader of the environment. Every variable is explained in `.env.example`.

Only facts about the deployment are here. What the business decides (rates, plans, series, intervals) are rows.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from emsp import local, logs

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_MODE = local.is_local()  # reads .env too
DATA_DIR = local.data_dir()
env = Env()


def required(name: str, otherwise) -> str:
    """A variable that production must set; in local mode there is something that works."""
    value = os.environ.get(name) or (otherwise() if LOCAL_MODE else None)
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set. SECRET_KEY or DATABASE_URL is, so this is production: see .env.example"
        )
    return value


SECRET_KEY = required("SECRET_KEY", lambda: local.keys()["SECRET_KEY"])
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
FIELD_KEYS = required("FIELD_KEYS", lambda: ",".join(local.keys()["FIELD_KEYS"])).split(",")
if not all(local.is_field_key(key) for key in FIELD_KEYS):
    raise ImproperlyConfigured("FIELD_KEYS are 32 random bytes in base64url each, comma-separated: see .env.example")
PUBLIC_URL = required("PUBLIC_URL", local.public_url).rstrip("/")
DEBUG = env.bool("DEBUG", default=False)

# What OCPI calls us by
OCPI_COUNTRY_CODE = env("OCPI_COUNTRY_CODE", default="SE")
OCPI_PARTY_ID = env("OCPI_PARTY_ID", default="EMP")
OCPI_PARTY_NAME = env("OCPI_PARTY_NAME", default="emsp")
OCPI_PRIVATE_HOSTS = env.list("OCPI_PRIVATE_HOSTS", default=["127.0.0.1"] if LOCAL_MODE else [])
OCPI_PRIVATE_HOSTS_IN_PRODUCTION = env.bool("OCPI_PRIVATE_HOSTS_IN_PRODUCTION", default=False)

# Hosts
_public = urlsplit(PUBLIC_URL)
IS_HTTPS = _public.scheme == "https"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"] if LOCAL_MODE else [_public.hostname])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])
if IS_HTTPS and OCPI_PRIVATE_HOSTS and not OCPI_PRIVATE_HOSTS_IN_PRODUCTION:
    raise ImproperlyConfigured(
        "OCPI_PRIVATE_HOSTS lets private partners use http and inner addresses, and PUBLIC_URL is public: "
        "empty it, or set OCPI_PRIVATE_HOSTS_IN_PRODUCTION=1"
    )

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "pghistory",
    "pgtrigger",
    "rest_framework",
    "drf_spectacular",
    "emsp",
    "apps.staff",
    "apps.partners",
    "apps.tariffs",
    "apps.locations",
    "apps.drivers",
    "apps.tokens",
    "apps.charging",
    "apps.onboarding",
    "apps.billing",
    "apps.partnerview",
    "apps.api",
]
MIDDLEWARE = [
    "emsp.logs.RequestLog",
    "apps.partners.middleware.Ocpi",
    "apps.api.middleware.Api",  # everything below is for people
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "emsp.audit.context.StaffContext",  # who changed it stands beside what was changed
    "django.contrib.messages.middleware.MessageMiddleware",
    "apps.staff.middleware.Gate",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "emsp.headers.ContentPolicy",
]
ROOT_URLCONF = "emsp.urls"
WSGI_APPLICATION = "emsp.wsgi.application"
APPEND_SLASH = False  # OCPI URLs are never redirected
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
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
            ]
        },
    }
]

# Connections are kept: opening one per request made a CDR three to seven times slower.
DATABASES = {"default": Env.db_url_config(required("DATABASE_URL", local.database_url), engine="apps.postgresql")}
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 2)  # seconds, the least that libpq knows
DATABASES["default"] |= {"CONN_MAX_AGE": env.int("CONN_MAX_AGE", default=60), "CONN_HEALTH_CHECKS": True}

# For one statement. Web sets less for itself (emsp/wsgi.py): somebody waits before a page, or at a charge point.
STATEMENT_TIMEOUT_S = env.int("STATEMENT_TIMEOUT_S", default=900)
_options = DATABASES["default"]["OPTIONS"]
# The triggers that keep history ask for pgtrigger.ignore with every row. Unset it is an error to them, which PostgreSQL
# takes back by going through all that the transaction has still to check: 50,000 cards took two minutes to enrol.
_settings = f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c pgtrigger.ignore={{}}"
_options["options"] = f"{_options.get('options', '')} {_settings}".strip()

# People
AUTH_USER_MODEL = "staff.User"
AUTHENTICATION_BACKENDS = ["apps.staff.backend.Backend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
SESSION_COOKIE_AGE = 8 * 60 * 60  # since the password, however much is done (trust S46)
SESSION_IDLE_S = None if LOCAL_MODE else 30 * 60
SECOND_FACTOR_REQUIRED = env.bool("SECOND_FACTOR_REQUIRED", default=not LOCAL_MODE)

# Safety on the wire. Behind a proxy that ends TLS, TRUST_PROXY says that its X-Forwarded-Proto is its own word.
TRUST_PROXY = env.bool("TRUST_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUST_PROXY else None
SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^ocpi/", r"^(healthz|readyz|metrics)$"]  # OCPI is never redirected; probes come from inside
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31536000) if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024  # the largest CDR we take (trust S25)

# Language and time: documents and admin pages are in local time, the database in UTC.
LANGUAGE_CODE = env("LANGUAGE_CODE", default="en")
TIME_ZONE = env("TIME_ZONE", default="Europe/Stockholm")
USE_TZ = True
USE_THOUSAND_SEPARATOR = True
FORMAT_MODULE_PATH = ["emsp.formats"]

# The back office. What the side bar, the search and the home page hold is in emsp/home.py.
UNFOLD = {
    "SITE_TITLE": OCPI_PARTY_NAME,
    "SITE_HEADER": OCPI_PARTY_NAME,
    "SITE_SYMBOL": "ev_station",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {"primary": {
        "50": "oklch(97.7% .018 182)", "100": "oklch(94.5% .045 182)", "200": "oklch(90% .085 182)",
        "300": "oklch(84% .11 182)", "400": "oklch(74% .12 182)", "500": "oklch(62% .105 184)",
        "600": "oklch(51% .09 186)", "700": "oklch(44% .075 188)", "800": "oklch(38% .06 190)",
        "900": "oklch(33% .05 192)", "950": "oklch(24% .04 194)",
    }},
    "LOGIN": {"form": "apps.staff.forms.LoginForm"},
    "ACCOUNT": {"navigation": "emsp.home.account"},
    "STYLES": ["emsp.home.style"],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "emsp.home.favicon"}],
    "DASHBOARD_CALLBACK": "emsp.home.dashboard",
    "SIDEBAR": {"navigation": "emsp.home.navigation", "show_search": True, "command_search": True},
    "COMMAND": {"search_callback": "emsp.home.search", "show_history": False},
}  # fmt: skip

# Files. Production serves compressed files under names that change with them, made by `collectstatic`.
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"] if (BASE_DIR / "static").exists() else []
WHITENOISE_USE_FINDERS = LOCAL_MODE
_static = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
    if LOCAL_MODE
    else "whitenoise.storage.CompressedManifestStaticFilesStorage"
)
MEDIA_ROOT, MEDIA_URL = DATA_DIR / "files", "/files/"  # nothing is served from there
NUMBERS_FILE = Path(env("NUMBERS_FILE", default=DATA_DIR / "numbers.log"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _static},
}

# OCPI's own answers replace the defaults in apps/partners/receiver.py, our API's in apps/api/frame.py; nothing here is
# for browsers.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": f"{OCPI_PARTY_NAME}: charging for drivers",
    "DESCRIPTION": "For our own app and web site. Ids mean nothing but what they were told for.",
    "VERSION": "1",
    "SERVERS": [{"url": PUBLIC_URL}],
    "PREPROCESSING_HOOKS": ["apps.api.schema.ours"],
}

# Celery: what is due are rows, the broker only rings the bell, so a message may be lost or come twice.
CELERY_BROKER_URL = env("CELERY_BROKER_URL", default=local.broker_url() if LOCAL_MODE else "redis://127.0.0.1:6379/0")
CELERY_BROKER_TRANSPORT_OPTIONS = {"max_retries": 0, "visibility_timeout": 15 * 60}  # whoever rings does not wait
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ACKS_LATE = True  # yet what kills its worker is not put back (trust F14): it would do so for ever
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = (
    300  # below the visibility timeout by three: a message does not come again while it is worked on
)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
# What runs when the broker goes is done, and perhaps done again. To cancel it ends the whole worker (celery#9250).
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat")
CELERY_TIMEZONE = TIME_ZONE

# Logs: lines for people on one machine, JSON lines elsewhere
LOG_JSON = env.bool("LOG_JSON", default=not LOCAL_MODE)
LOGGING = logs.configured(as_json=LOG_JSON, level=env("LOG_LEVEL", default="INFO"))
METRICS_TOKEN = env("METRICS_TOKEN", default="")
