"""Running jobs that look stuck or take unusually long: told once, never acted upon.

A job is suspected when it printed before and has been silent for `SILENT`, when its GPUs have done
nothing for `IDLE`, or when it has run for twice the longest of its last completed runs. All of this
may be quite right, so it is a question to people and not a state.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from core.background import isolation
from jobs import notify
from jobs.models import Job, LogChunk, Status
from jobs.tracking import energy
from metrics.history import query as history_query
from metrics.history.query import Span

SILENT = timedelta(hours=1)
IDLE = timedelta(minutes=30)
IDLE_PERCENT = 5.0
# How often the job must have been completed before, and how long it must run.
_RUNS = 3
_SHORTEST = timedelta(minutes=10)
_LOOKED_AT = 20


def look(now: datetime) -> int:
    """Look at every running job; how many notifications were sent."""
    rows = Job.objects.living().filter(status=Status.RUNNING, started_at__isnull=False)
    jobs = rows.select_related("connection__team", "project", "requested_by").iterator(
        chunk_size=100
    )
    asked = [(job, suspect) for job in list(jobs) for suspect in _SUSPICIONS]
    return isolation.each(
        asked,
        lambda one: one[1](one[0], now),
        name="looking whether a job is stuck:",
        key=lambda one: f"{one[0].pk} {one[1].__name__}",
    )


def _is_silent(job: Job, now: datetime) -> bool:
    chunk = LogChunk.objects.filter(job=job).order_by("-offset").only("times").first()
    if chunk is None:
        return False
    last = datetime.fromtimestamp(chunk.times[-1][1] / 1000, UTC)
    if now - last < SILENT:
        return False
    words = f"It has printed nothing since {last:%Y-%m-%d %H:%M} UTC."
    return notify.tell(job, "job_stuck", words, once=f"silent:{chunk.times[-1][1]}")


def _is_idle(job: Job, now: datetime) -> bool:
    gpus = energy.whole_gpus(job.granted)
    assert job.started_at is not None
    if not gpus or now - job.started_at < IDLE or not all(_did_nothing(job, g, now) for g in gpus):
        return False
    names = ", ".join(f"GPU {gpu}" for gpu in gpus)
    words = f"{names}: below {IDLE_PERCENT:g} % for {IDLE.total_seconds() / 60:.0f} minutes."
    return notify.tell(job, "job_stuck", words, once="idle")


def _did_nothing(job: Job, gpu: int, now: datetime) -> bool:
    """Whether the whole time was seen, and the GPU idle in it."""
    span = Span(now - IDLE, now - timedelta(minutes=1))  # the last minute may not be stored yet
    found = history_query.slice(
        job.connection_id, span, gpu=gpu, max_points=15, metrics=["gpu_percent"]
    )
    most = found.series["gpu_percent"]["max"]
    return all(value is not None and value < IDLE_PERCENT for value in most)


def _is_long(job: Job, now: datetime) -> bool:
    assert job.started_at is not None
    ran = now - job.started_at
    if ran < _SHORTEST:
        return False
    before = _lengths(job)
    if len(before) < _RUNS or ran < 2 * max(before):
        return False
    words = f"It runs for {_minutes(ran)} minutes; before, {_minutes(max(before))} were enough."
    return notify.tell(job, "job_too_long", words, once="long", title="job_slow")


def _lengths(job: Job) -> list[timedelta]:
    """How long the last completed runs of the same name took."""
    rows = Job.objects.filter(
        project_id=job.project_id, name=job.name, status=Status.COMPLETED, started_at__isnull=False
    )
    spans = rows.order_by("-created_at").values_list("started_at", "completed_at")
    return [end - start for start, end in spans[:_LOOKED_AT] if start and end]


def _minutes(span: timedelta) -> int:
    return round(span.total_seconds() / 60)


_SUSPICIONS: tuple[Callable[[Job, datetime], bool], ...] = (_is_silent, _is_idle, _is_long)
