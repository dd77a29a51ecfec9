"""Read settings from the environment; a wrong value stops the start with its name.

Every name also accepts `NAME_FILE`, the path of a file that holds the value, which is how Docker
and Kubernetes hand over secrets.
"""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def env_str(name: str, default: str = "") -> str:
    """The value of NAME, else the content of the file NAME_FILE names, else `default`."""
    if name in os.environ:
        return os.environ[name].strip()
    path = os.environ.get(f"{name}_FILE", "")
    if not path:
        return default
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE: {path} cannot be read ({error})") from error


def env_bool(name: str, *, default: bool = False) -> bool:
    value = env_str(name, "1" if default else "0").lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name}: {value!r} is neither 1 nor 0")


def env_int(name: str, default: int) -> int:
    value = env_str(name, str(default))
    try:
        return int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {value!r} is not a whole number") from error


def env_list(name: str, default: str = "") -> list[str]:
    """The comma-separated parts of NAME, blanks removed; set to nothing it is empty."""
    return [part.strip() for part in env_str(name, default).split(",") if part.strip()]
