"""What the page of a run's report shows: titles and texts, and curves over one time base."""

from datetime import datetime
from typing import Any

from core.formats import ABSENT, number, quantity, size
from jobs import command_preview
from jobs.log import first_error, viewer
from jobs.models import Job
from jobs.pages import origin_tab
from jobs.report import data as report_data
from jobs.report import svg as report_svg
from jobs.report.svg import Picture
from jobs.results import summary as results_summary

LAST_LINES = 100
# As many as an SVG of this width can show.
_POINTS = 400
_MOST_CURVES = 12
_DIGITS = 5


def context(job: Job) -> dict[str, Any]:
    """For the template. Asks no machine."""
    told = results_summary.as_dict(job, _POINTS)
    part = viewer.tail(job, LAST_LINES)
    return {
        "job": job,
        "connection": job.connection,
        "seconds": job.run_seconds,
        "folder": report_data.folder(job),
        "changes": list(job.changes.order_by("id")[:100]),
        "script": report_data.script(job),
        "config_text": command_preview.config_text(report_data.config(job)),
        "origin": origin_tab.of(job),
        "used": _used(told),
        "printed": [(name, *_last(curve)) for name, curve in sorted(told["scalars"].items())],
        "pictures": _pictures(job, told),
        "quote": first_error.quote(job),
        "log": list(enumerate(part.texts, part.first)),
    }


def _used(told: dict[str, Any]) -> list[tuple[str, str]]:
    cost = number(told["cost"], 2) if told["cost"] is not None else ABSENT
    return [
        ("Energy", quantity(told["energy_wh"], "Wh", 1)),
        ("Cost", f"{cost} {told['currency'] or ''}".strip()),
        ("Mean GPU utilisation", quantity(told["mean_gpu_percent"], "%")),
        ("Peak GPU memory of the job", size(told["peak_gpu_memory_bytes"])),
    ]


def _last(curve: dict[str, Any]) -> tuple[int | None, str]:
    if not curve["value"]:
        return None, ABSENT
    value = curve["value"][-1]
    return curve["step"][-1], ABSENT if value is None else f"{value:.{_DIGITS}g}"


# --- Curves --------------------------------------------------------------------------------------


def _pictures(job: Job, told: dict[str, Any]) -> list[Picture]:
    """Utilisation and power of the granted GPUs, then what was printed, over the same time."""
    if job.started_at is None:
        return []
    span = results_summary.span_of(job)
    times: list[datetime] = told["series"]["timestamp"]
    found = []
    for title, metric, unit in (
        ("GPU utilisation", "gpu_percent", "%"),
        ("GPU power", "gpu_power_watts", "W"),
    ):
        for gpu, series in told["series"]["gpus"].items():
            values = series[metric]["avg"]
            found.append(report_svg.draw(f"{title}, GPU {gpu}", unit, span, times, values))
    for name, curve in sorted(told["scalars"].items())[:_MOST_CURVES]:
        found.append(report_svg.draw(name, "", span, _times(curve), curve["value"]))
    return [picture for picture in found if picture is not None]


def _times(curve: dict[str, Any]) -> list[datetime | None]:
    return [None if at is None else datetime.fromisoformat(at) for at in curve["timestamp"]]
