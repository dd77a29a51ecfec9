"""Folders of the machine that the site runs on: below the roots that its settings name, alone.

There the "user" is the account of the site itself, which owns the database, the encryption keys and
the key directory. So a path is followed through all its links first, and must end below a root of
`DGX_LOCAL_ROOTS` and outside of what is the site's own. A refusal says nothing about what is there.
"""

import posixpath
from pathlib import Path

from django.conf import settings

# The site's home folder, in which `~/…` and relative paths begin.
_HOME = ("~", "~/")


class NotBelowRoots(Exception):
    """The path leads out of the roots; `detail` says so in a sentence."""

    def __init__(self) -> None:
        self.detail = (
            "On the site's own machine folders lie below "
            f"{', '.join(settings.LOCAL_ROOTS) or 'no folder at all'} (DGX_LOCAL_ROOTS)."
        )
        super().__init__(self.detail)


def real(text: str) -> str:
    """The path without links, whether it is there or not; `NotBelowRoots` if it may not be used."""
    path = _resolved(_absolute(text))
    if path is None or not any(path.is_relative_to(root) for root in _all(settings.LOCAL_ROOTS)):
        raise NotBelowRoots
    if any(path.is_relative_to(own) for own in _all(_own())):
        raise NotBelowRoots
    return str(path)


def _absolute(text: str) -> str:
    if text in _HOME or text.startswith("~/"):
        text = text[2:].lstrip("/")
    return posixpath.join(Path.home(), text)


def _own() -> list[str]:
    """Keys, data and program of the site."""
    return [str(settings.SSH_KEY_DIR), str(settings.DATA_DIR), str(settings.BASE_DIR), "~/.ssh"]


def _all(paths: list[str]) -> list[Path]:
    found = (_resolved(str(Path(path).expanduser())) for path in paths)
    return [path for path in found if path is not None]


def _resolved(path: str) -> Path | None:
    """None for a circle of links, or a name that no path can have."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        return None
