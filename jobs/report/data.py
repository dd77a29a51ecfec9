"""A run told as a whole, for a page and for other programs: what it began from, was given and used.

Secrets are starred out wherever their values stand, also in the command and the configuration.
"""

from typing import Any

from django.conf import settings
from django.utils import timezone

from core.times import iso
from jobs import command_preview, masking
from jobs.hidden_values import secrets_of
from jobs.log import first_error
from jobs.models import Job
from jobs.results import summary as results_summary
from jobs.serializers import as_dict, change_dict

_LAST_ONLY = 1
_USED = (
    "energy_wh",
    "measured_seconds",
    "mean_gpu_percent",
    "peak_gpu_memory_bytes",
    "cost",
    "currency",
)


def as_report(job: Job) -> dict[str, Any]:
    """`report.json`: everything but series, log and origin, which are files beside it."""
    told = results_summary.as_dict(job, _LAST_ONLY)
    quote = first_error.quote(job)
    report = {
        "made_at": iso(timezone.now()),
        "made_by": f"dgxsite {settings.VERSION}",
        "job": as_dict(job),
        "project": {"name": job.project.name, "folder": folder(job)},
        "machine": {"name": job.connection.name},
        "script": command_preview.script(job),
        "steps": [change_dict(change) for change in job.changes.order_by("id")],
        "used": {name: told[name] for name in _USED},
        "printed": {name: _last(curve) for name, curve in told["scalars"].items()},
        "printed_complete": told["scalars_complete"],
        "first_error": quote and {"line": quote.line, "text": quote.text},
        "log": {"bytes": job.log_bytes, "lines": job.log_lines, "complete": job.log_complete},
    }
    masked: dict[str, Any] = masking.mask_values(report, secrets_of(job))
    return masked


def config(job: Job) -> Any:
    """The configuration as it may leave the site."""
    return masking.mask_values(job.config, secrets_of(job))


def script(job: Job) -> str:
    """The exact command as it may leave the site."""
    text: str = masking.mask_values(command_preview.script(job), secrets_of(job))
    return text


def folder(job: Job) -> str:
    """Where it ran, as an absolute path if the machine has told it."""
    return job.project.resolved_path or job.project.remote_path


def _last(curve: dict[str, list[Any]]) -> dict[str, Any]:
    return {"step": curve["step"][-1], "value": curve["value"][-1]} if curve["value"] else {}
