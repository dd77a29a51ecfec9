"""What a run began from as people read it: titles and texts."""

from typing import Any

from core.formats import ABSENT
from jobs.models import Job
from jobs.serializers import origin_dict

_COMMIT_SHOWN = 12


def of(job: Job) -> list[tuple[str, str]] | None:
    """Titles and texts; None as long as the machine has not told it."""
    found = origin_dict(job)
    return None if found is None else rows(found)


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """What a run began from, as titles and texts; what is not known is left out."""
    machine, git, python = found["machine"], found["git"] or {}, found["python"] or {}
    software = [("driver", machine["driver_version"]), ("CUDA", machine["cuda_version"])]
    lines = [
        ("Git commit", _commit(git) if git else found["git_reason"]),
        ("Remote", git.get("remote_url")),
        ("Python", _joined(python.get("version"), python.get("path"))),
        ("Packages", _count(python.get("packages"))),
        ("GPUs", ", ".join(f"{gpu['index']}: {gpu['name'] or ABSENT}" for gpu in found["gpus"])),
        ("GPU software", _joined(*(f"{name} {text}" for name, text in software if text))),
        ("Host", _joined(machine["host"], machine["architecture"])),
        ("System", _joined(machine["distribution"], machine["kernel"])),
    ]
    return [(title, text) for title, text in lines if text]


def _commit(git: dict[str, Any]) -> str:
    changed = git["changed_files"]
    state = (
        ""
        if changed is None
        else f"{changed} changed file{'s' if changed > 1 else ''}"
        if changed
        else "no changes"
    )
    return _joined(git["commit"][:_COMMIT_SHOWN], git["branch"], state)


def _count(packages: list[str] | None) -> str:
    return "" if packages is None else f"{len(packages)} packages"


def _joined(*texts: str | None) -> str:
    return " · ".join(text for text in texts if text)
