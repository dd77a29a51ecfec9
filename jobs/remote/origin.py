"""What a run began from, read out of what `origin.sh` wrote on the machine: pure, bytes to values.

All of it is what a machine, a repository and a Python environment say of themselves, so none of it
is believed: a commit is hexadecimal digits or nothing, texts are cut and made printable, a remote's
address loses whoever logs in there. Nothing raises for any bytes; what is not told is None.
"""

import re
from collections.abc import Mapping
from typing import Any

from core import cleaner

MOST_PACKAGES = 5000
_LONGEST = 300
_LONGEST_LINE = 2048
_UNSHOWN = "\N{REPLACEMENT CHARACTER}"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COUNT = re.compile(r"[0-9]{1,9}")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}==[0-9A-Za-z][0-9A-Za-z.!+_-]{0,99}")
_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{1,20}://)(?:[^/?#]*@)?"
    r"(?P<rest>(?:\[[0-9A-Fa-f:.%]{1,100}\]|[^@:?#\s/]++)(?::[0-9]{1,5})?(?:/[^?#\s]*+)?)"
    r"(?:[?#].*)?"
)
# `git@host:path`: whom one logs in as is part of the address, and no secret without a password.
_SHORT_ADDRESS = re.compile(r"(?:[A-Za-z0-9_.-]{1,64}@)?[A-Za-z0-9_.-]{1,255}:[^:@\s][^@\s]*")


def parse(written: bytes) -> dict[str, Any]:
    """The parts `machine`, `git` and `python`; git and Python are None where there are none.

    A last line without its end was still being written, and is left out.
    """
    told: dict[str, str] = {}
    packages: set[str] = set()
    for line in written.decode("utf-8", "replace").split("\n")[:-1]:
        key, _, value = line[:_LONGEST_LINE].partition(" ")
        if key == "package":
            if len(packages) < MOST_PACKAGES and _PACKAGE.fullmatch(value):
                packages.add(value)
        else:
            told.setdefault(key, value)
    return {
        "machine": _machine(told),
        "git": _git(told),
        "git_reason": _text(told, "git_reason"),
        "python": _python(told, packages),
    }


def _machine(told: Mapping[str, str]) -> dict[str, Any]:
    names = {name: name for name in ("host", "kernel", "architecture", "distribution")}
    names |= {"driver_version": "driver", "cuda_version": "cuda"}
    return {name: _text(told, key) for name, key in names.items()}


def _git(told: Mapping[str, str]) -> dict[str, Any] | None:
    commit = told.get("commit", "")
    if not _COMMIT.fullmatch(commit):
        return None
    count = told.get("changed_files", "")
    changed = int(count) if _COUNT.fullmatch(count) else None
    return {
        "commit": commit,
        "branch": _text(told, "branch"),
        "is_dirty": None if changed is None else changed > 0,
        "changed_files": changed,
        "remote_url": _address(told.get("remote", "")),
    }


def _python(told: Mapping[str, str], packages: set[str]) -> dict[str, Any] | None:
    if "python" not in told and "python_path" not in told:
        return None
    return {
        "version": _text(told, "python"),
        "path": _text(told, "python_path"),
        "packages": sorted(packages, key=str.casefold) or None,
    }


def _text(told: Mapping[str, str], key: str) -> str | None:
    return cleaner.line(told.get(key, ""), _LONGEST, unseen=_UNSHOWN).strip() or None


def _address(text: str) -> str | None:
    """A remote's address without user, password and query; None for what is none."""
    if found := _ADDRESS.fullmatch(text):
        text = found["scheme"] + found["rest"]
    elif not _SHORT_ADDRESS.fullmatch(text) and not re.fullmatch(r"/[^@\s]*", text):
        return None
    return _text({"": text}, "")
