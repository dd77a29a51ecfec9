"""The runs that a comparison is about: found for the caller, and read from what is kept of them.

Asks no machine. Reads on in logs whose printed values are not all known yet, a bounded piece.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal
from uuid import UUID

from accounts.policy import Caller
from core.errors import Invalid
from core.times import iso
from jobs import masking, services
from jobs.compare import config_paths
from jobs.compare.table import MOST_RUNS, Printed, Run, Value, last_of
from jobs.hidden_values import secrets_of, shown_environment
from jobs.models import Job
from jobs.results import ingest as results_ingest
from jobs.results import summary as results_summary
from jobs.serializers import origin_dict
from jobs.tracking.curves import Curve, Curves, Point

By = Literal["step", "seconds"]
# Enough for a curve on a screen; the figures are of every point that is kept.
POINTS = 500
_SETTINGS = ("kind", "command", "image", "virtualenv", "conda_env", "model_name", "max_minutes")


@dataclass(frozen=True, slots=True)
class Compared:
    """A job, its column, its curves, and whether they are of its whole log as far as it goes."""

    job: Job
    run: Run
    curves: Curves
    is_read: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One curve from its run's start on: `x` ascends strictly; None in `y` was not finite."""

    x: list[float]
    y: list[float | None]


def find(caller: Caller, ids: Sequence[UUID]) -> list[Job]:
    """The jobs in the order asked for, each once; raises `NotFound` if one may not be seen."""
    wanted = list(dict.fromkeys(ids))
    if len(wanted) > MOST_RUNS:
        raise Invalid.field("job", f"At most {MOST_RUNS} jobs can be compared.")
    return [services.find(caller, one, "job.view") for one in wanted]


def read(jobs: Sequence[Job]) -> list[Compared]:
    """What is compared of each; together they read no more of logs than one job alone."""
    return [_compared(job, results_ingest.AT_ONCE_BYTES // len(jobs)) for job in jobs]


def _compared(job: Job, most: int) -> Compared:
    kept = results_ingest.catch_up(job, most)
    curves, origin = kept.curves, origin_dict(job) or {}
    run = Run(
        id=str(job.pk),
        name=job.name,
        facts=_facts(job, origin.get("git") or {}),
        settings=_settings(job, origin.get("python") or {}),
        printed={name: _printed(curve) for name, curve in curves.by_name.items()},
        used=results_summary.used(job) if job.started_at is not None else {},
    )
    return Compared(job, run, curves, kept.offset >= job.log_bytes)


def _facts(job: Job, git: Mapping[str, Any]) -> dict[str, Value]:
    return {
        "status": job.status,
        "exit_code": job.exit_code,
        "project": job.project.name,
        "machine": job.connection.name,
        "granted_gpus": None if job.granted is None else ", ".join(job.granted) or "none",
        "git_commit": git.get("commit"),
        "git_changed": git.get("changed_files"),
        "requested_by": job.requested_by.get_username() if job.requested_by else None,
        "created_at": iso(job.created_at),
        "started_at": iso(job.started_at),
        "completed_at": iso(job.completed_at),
        "duration_seconds": _seconds(job),
    }


def _seconds(job: Job) -> float | None:
    if job.started_at is None:
        return None
    span = results_summary.span_of(job)
    return (span.end - span.start).total_seconds()


def _settings(job: Job, python: Mapping[str, Any]) -> dict[str, Value]:
    """Flat; what was left empty is not there. Secrets are masked as in a report."""
    secrets = secrets_of(job)
    plain: dict[str, Value] = {
        name: masking.mask_values(getattr(job, name) or None, secrets) for name in _SETTINGS
    }
    plain["gpus"] = job.gpus if isinstance(job.gpus, int) else ", ".join(map(str, job.gpus))
    plain["python"] = python.get("version")
    variables = {f"environment.{name}": text for name, text in shown_environment(job).items()}
    return {
        **{name: value for name, value in plain.items() if value is not None},
        **dict(sorted(variables.items())),
        **dict(sorted(config_paths.flat(masking.mask_values(job.config, secrets)).items())),
        **_packages(python.get("packages") or []),
    }


def _packages(lines: Sequence[str]) -> dict[str, Value]:
    """`{"package.torch": "2.9.1"}`."""
    pairs = [line.partition("==") for line in lines]
    return {f"package.{name}": version for name, _, version in pairs}


def _printed(curve: Curve) -> Printed:
    return last_of([value for _, value, _ in curve.shown(len(curve.points) + 1)])


def lines(found: Sequence[Compared], name: str, by: By) -> list[Line | None]:
    """The curve of one printed value in each run; None where a run did not print it."""
    return [
        _line(one.job, one.curves.by_name[name], by) if name in one.curves.by_name else None
        for one in found
    ]


def _line(job: Job, curve: Curve, by: By) -> Line:
    """Points without a place are left out.

    A step that comes again replaces what had come from there on, as after a checkpoint.
    """
    placed = [(_place(job, point, by), point[1]) for point in curve.shown(POINTS)]
    known = [(x, y) for x, y in placed if x is not None]
    if by == "seconds":
        known.sort(key=itemgetter(0))  # a clock may have been set back
    line = Line([], [])
    for x, y in known:
        while line.x and line.x[-1] >= x:
            line.x.pop()
            line.y.pop()
        line.x.append(x)
        line.y.append(y)
    return line


def _place(job: Job, point: Point, by: By) -> float | None:
    step, _, at = point
    if by == "step":
        return float(step)
    if at is None or job.started_at is None:
        return None
    return max(0.0, round(at / 1000 - job.started_at.timestamp(), 3))


def earlier(job: Job) -> Job | None:
    """What a job is best compared with: the try before, else the last run of the same name."""
    rows = Job.objects.living().filter(project_id=job.project_id)
    if job.retry_of_id and (before := rows.filter(pk=job.retry_of_id).first()):
        return before
    alike = rows.filter(name=job.name, created_at__lt=job.created_at, started_at__isnull=False)
    return alike.order_by("-created_at").first()
