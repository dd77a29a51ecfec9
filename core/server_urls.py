"""One `DATABASE_URL` and one `REDIS_URL`, in the forms that Django, Celery and Channels want."""

from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from django.core.exceptions import ImproperlyConfigured
from psycopg import Error as PsycopgError
from psycopg.conninfo import conninfo_to_dict

_DJANGO_NAMES = {
    "dbname": "NAME",
    "user": "USER",
    "password": "PASSWORD",
    "host": "HOST",
    "port": "PORT",
}


def database_settings(url: str, options: dict[str, Any]) -> dict[str, Any]:
    """A `DATABASES` entry for a libpq address; unknown parameters stay libpq options."""
    try:
        parts = conninfo_to_dict(url)
    except PsycopgError as error:
        raise ImproperlyConfigured(f"DATABASE_URL is not a PostgreSQL address: {error}") from error
    entry: dict[str, Any] = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": dict(options)}
    for name, value in parts.items():
        if name in _DJANGO_NAMES:
            entry[_DJANGO_NAMES[name]] = str(value)
        else:
            entry["OPTIONS"][name] = value
    return entry


def redis_database(url: str, number: int) -> str:
    """The same Redis, `number` databases further: 0 holds the broker, 1 Channels, 2 samples.

    A path (`redis://host/3`) or `?db=` in the address is the first of the three.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ImproperlyConfigured("REDIS_URL starts with redis://, rediss:// or unix://")
    if parts.scheme == "unix":
        first = int(parse_qs(parts.query).get("db", ["0"])[0])
        return f"unix://{parts.path}?db={first + number}"
    first = int(parts.path.strip("/") or 0)
    return urlunsplit(parts._replace(path=f"/{first + number}"))


def celery_broker(url: str) -> str:
    """Celery's spelling of a Redis address: a socket is `redis+socket://`."""
    address = redis_database(url, 0)
    if address.startswith("unix://"):
        return address.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")
    return address
