"""Django settings, all of them read from the environment once; `.env.example` lists the names."""

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from core import embedded
from core.env import env_bool, env_int, env_list, env_str
from core.mail import mail_settings
from core.redis_patience import ONCE
from core.server_urls import celery_broker, database_settings, redis_database
from dgxsite.http import proxies
from dgxsite.sign_in import provider_settings, session_seconds

VERSION = "0.1.0"
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env_str("DGX_DATA_DIR", str(BASE_DIR / "var"))).expanduser().resolve()

# --- Where the two servers are --------------------------------------------------------------
EMBEDDED_DATABASE = not env_str("DATABASE_URL")
EMBEDDED_REDIS = not env_str("REDIS_URL")
DATABASE_URL = env_str("DATABASE_URL") or embedded.database_url(DATA_DIR)
REDIS_URL = env_str("REDIS_URL") or embedded.redis_url(DATA_DIR)

# A request that finds no free or no living database answers 503 within this time, in seconds.
DATABASE_TIMEOUT_SECONDS = 3
DATABASES = {
    "default": database_settings(
        DATABASE_URL,
        {
            "pool": {
                "min_size": 1,
                "max_size": env_int("DGX_DATABASE_POOL", 8),
                "timeout": DATABASE_TIMEOUT_SECONDS,
                "max_lifetime": 600,
            },
            "connect_timeout": DATABASE_TIMEOUT_SECONDS,
            "application_name": "dgxsite",
        },
    )
    | {"CONN_HEALTH_CHECKS": True}
}
REDIS_SAMPLES_URL = redis_database(REDIS_URL, 2)
# A Redis that hangs costs a request at most this long.
REDIS_TIMEOUT_SECONDS = 2.0
# And what a log-in waits for its rate limits, beside the password that it checks.
CACHE_TIMEOUT_SECONDS = 1.0

# --- Keys -----------------------------------------------------------------------------------


def _key(name: str, file: str) -> str:
    """A key from the environment; embedded mode makes a missing one, a server refuses to start."""
    value = env_str(name)
    if value:
        return value
    if EMBEDDED_DATABASE:
        return embedded.stored_key(DATA_DIR, file)
    raise ImproperlyConfigured(f"{name} is not set; with DATABASE_URL set it has to be given")


SECRET_KEY = _key("DGX_SECRET_KEY", "secret_key")
ENCRYPTION_KEYS = [
    key.strip()
    for key in _key("DGX_ENCRYPTION_KEYS", embedded.ENCRYPTION_KEYS).split(",")
    if key.strip()
]

# --- Who may call, under which name ----------------------------------------------------------
DEBUG = False
BASE_URL = env_str("DGX_BASE_URL").rstrip("/")
HTTPS = BASE_URL.startswith("https://")
ALLOWED_HOSTS = env_list("DGX_ALLOWED_HOSTS") or [
    "localhost",
    "127.0.0.1",
    "[::1]",
    socket.gethostname().lower(),
]
if BASE_URL:
    ALLOWED_HOSTS.append(urlsplit(BASE_URL).hostname or "")
    CSRF_TRUSTED_ORIGINS = [BASE_URL]
# Whose word is taken for who called; with an address of its own the site has a proxy on its host.
TRUSTED_PROXIES = proxies.networks(
    env_list("DGX_TRUSTED_PROXIES", "127.0.0.1,::1" if BASE_URL else "")
)
CORS_ORIGINS = env_list("DGX_CORS_ORIGINS")
# Connections may point at loopback only in tests and the demo.
ALLOW_LOOPBACK = env_bool("DGX_ALLOW_LOOPBACK")
ALLOWED_NETWORKS = env_list("DGX_ALLOWED_NETWORKS")
SSH_KEY_DIR = Path(env_str("DGX_SSH_KEY_DIR", "~/.ssh")).expanduser()
# Folders of the site's own machine that projects and exports may lie below; `~` is its account's.
LOCAL_ROOTS = env_list("DGX_LOCAL_ROOTS") or ["~/projects"]
TERMINAL = env_bool("DGX_TERMINAL", default=True)
# Set by `manage.py up` for its own keeper, which then holds the machine the site runs on.
HOLDS_LOCAL = env_bool("DGX_HOLDS_LOCAL")
DEMO = env_bool("DGX_DEMO")
# The name of the site itself where an event or an audit row asks who did it.
SITE_ACTOR = "dgxsite"

# --- Django ---------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "channels",
    "csp",
    "django_celery_beat",
    "django_htmx",
    "lucide",
    "ninja",
    "dgxsite",
    "accounts",
    "notifications",
    "connections",
    "metrics",
    "alerts",
    "exports",
    "projects",
    "jobs",
    "usage",
]
MIDDLEWARE = [
    "core.web.streaming.ConnectionsGivenBack",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "dgxsite.http.static.StaticFiles",
    "core.web.middleware.PrivateResponses",
    "dgxsite.http.cors.ForeignReaders",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "accounts.signin.middleware.SessionLimits",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.signin.middleware.SecondFactorFirst",
    "accounts.preferences.OwnTimeZone",
    "accounts.route_middleware.DeclaredRoutes",
    "core.web.middleware.UnavailableDatabase",
    "core.web.middleware.KnownFailures",
]
ROOT_URLCONF = "dgxsite.urls"
ASGI_APPLICATION = "dgxsite.asgi.application"
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
                "dgxsite.context.site",
            ]
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# --- People ---------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
# Every session carries this path: to move the module would log everybody out.
AUTHENTICATION_BACKENDS = ["accounts.login_backend.OneCheck"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
if _breached := env_str("DGX_BREACHED_PASSWORDS"):
    AUTH_PASSWORD_VALIDATORS.append(
        {
            "NAME": "accounts.signin.breached_passwords.KnownFromBreaches",
            "OPTIONS": {"path": _breached},
        }
    )
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
# EMAIL_BACKEND and what belongs to it.
globals().update(mail_settings(env_str("EMAIL_URL")))
ACCOUNT_ADAPTER = "accounts.signin.adapter.SiteAccounts"
ACCOUNT_FORMS = {
    "add_email": "accounts.signin.forms.OtherAddress",
    "change_password": "accounts.signin.forms.OtherPassword",
    "login": "accounts.signin.forms.NameAndPassword",
    "reauthenticate": "accounts.signin.forms.PasswordAgain",
    "reset_password": "accounts.signin.forms.ForgottenPassword",
    "reset_password_from_key": "accounts.signin.forms.PasswordByMail",
    "set_password": "accounts.signin.forms.FirstPassword",
    "user_token": "accounts.signin.forms.ResetLink",
}
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.signin.reset_links.ResetLinks"  # noqa: S105 (a class)
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
# Addresses are verified when they change; see accounts/signin/email_address.py.
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[dgxsite] "
ACCOUNT_EMAIL_NOTIFICATIONS = True
# Who has no account here gets no mail from here either.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# Five failures lock a name from one address; the address itself only what no office or lab behind
# one address comes near to.
ACCOUNT_RATE_LIMITS = {"login": "120/m/ip", "login_failed": "60/m/ip,5/300s/key"}
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = True
MFA_ADAPTER = "accounts.auth.mfa.SecondFactors"
MFA_FORMS = {
    "activate_totp": "accounts.signin.forms.FirstCode",
    "authenticate": "accounts.signin.forms.SecondStep",
    "reauthenticate": "accounts.signin.forms.SecondStepAgain",
    "add_webauthn": "accounts.signin.passkey_forms.NewPasskey",
    "login_webauthn": "accounts.signin.passkey_forms.PasskeyAlone",
    "authenticate_webauthn": "accounts.signin.passkey_forms.PasskeyAsSecondStep",
    "reauthenticate_webauthn": "accounts.signin.passkey_forms.PasskeyAgain",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# Accounts are made by administrators: nobody signs up with somebody else's address.
MFA_ALLOW_UNVERIFIED_EMAIL = True
# 1: operators, administrators and superusers set up a second factor before anything else.
REQUIRE_MFA = env_bool("DGX_REQUIRE_MFA")
SOCIALACCOUNT_ADAPTER = "accounts.signin.oidc.Provider"
SOCIALACCOUNT_PROVIDERS = provider_settings()
# Whom the provider knows and the site does not gets an account without any rights.
OIDC_SIGNUP = env_bool("DGX_OIDC_SIGNUP")
USERSESSIONS_ADAPTER = "accounts.signin.sessions.SessionList"
# A login that is not used, and one that is; seconds.
SESSION_COOKIE_AGE, SESSION_LIMIT_SECONDS = session_seconds()
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "core.web.error_pages.csrf_failure"
# `make run` serves plain HTTP on loopback, where a Secure cookie would never come back.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
MESSAGE_STORAGE = "dgxsite.http.notices.Cookie"
# The rate limits of the login live here, shared by all web processes.
CACHES = {
    "default": {
        "BACKEND": "dgxsite.http.cache.PatientRedisCache",
        "LOCATION": REDIS_SAMPLES_URL,
        "OPTIONS": {
            "socket_timeout": CACHE_TIMEOUT_SECONDS,
            "socket_connect_timeout": CACHE_TIMEOUT_SECONDS,
            "retry": ONCE,
        },
    }
}

# --- Headers --------------------------------------------------------------------------------
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_SSL_REDIRECT = False  # the proxy in front does it; the health check comes in plain
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # asks for the line above to be otherwise
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "report-uri": ["/csp-reports"],
    }
}
if HTTPS:
    # Browsers report so over TLS alone, and then ignore the older `report-uri`.
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["report-to"] = ["csp"]

# --- Static files ---------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static", ("vendor/uplot", BASE_DIR / "node_modules/uplot/dist")]
WHITENOISE_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "dgxsite.http.static.HashedFiles"},
}

# --- Celery and Channels --------------------------------------------------------------------
CELERY_BROKER_URL = celery_broker(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "visibility_timeout": 60,
    # kombu looks for a dead worker's messages only about every 100 s unless told otherwise.
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [redis_database(REDIS_URL, 1)]},
    }
}

# --- Time: every wait of the machine room hangs on these few figures (seconds) ----------------
# Tests shorten all of them together, so that their ratios hold.
TIME_SCALE = float(env_str("DGX_TIME_SCALE", "1"))
SAMPLE_SECONDS = 2.0 * TIME_SCALE
PERSIST_SECONDS = 20.0 * TIME_SCALE
KEEPER_TTL_SECONDS = 8.0 * TIME_SCALE
RECONNECT_SECONDS = (1.0 * TIME_SCALE, 30.0 * TIME_SCALE)
# How often a machine is asked about its jobs, and a queue in which all wait is looked at.
JOBS_SECONDS = 1.0 * TIME_SCALE
JOBS_IDLE_SECONDS = 2.0 * TIME_SCALE
# Waiting jobs of one person: for one machine, and for all together.
JOBS_WAITING_PER_MACHINE = env_int("DGX_JOBS_WAITING_PER_MACHINE", 200)
JOBS_WAITING = env_int("DGX_JOBS_WAITING", 500)
# A job's log on its machine and in the database; what goes beyond is not kept.
JOB_LOG_LIMIT_BYTES = 256 * 1024 * 1024

# --- Logs -----------------------------------------------------------------------------------
LOG_LEVEL = env_str("DGX_LOG_LEVEL", "INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "one_line": {"()": "dgxsite.logs.OneLine"},
        "callers_mistakes": {"()": "dgxsite.logs.CallersMistakes"},
    },
    "formatters": {"line": {"()": "dgxsite.logs.LineFormatter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["one_line", "callers_mistakes"],
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # Both tell each transport's life at INFO; ours say it once, with the machine's id.
        "paramiko": {"level": "CRITICAL"},
        # A Redis that is down is said once, by the socket's hub.
        "channels_redis": {"level": "CRITICAL"},
        "asyncssh": {"level": "CRITICAL"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "django.server": {"level": "WARNING"},
        "uvicorn.access": {"level": "WARNING"},
        # A database that is down is said by whoever asked it.
        "psycopg.pool": {"level": "ERROR"},
    },
}
