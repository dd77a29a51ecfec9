"""A job as other programs see it: the API and the socket."""

from typing import Any

from core.times import iso
from jobs.hidden_values import shown_config, shown_environment
from jobs.models import GpuWish, Job, JobChange, JobOrigin, MachineQueue

# A frame of the socket has 64 KiB; the whole stands in the API.
_SHOWN_COMMAND = 4000


def as_dict(job: Job) -> dict[str, Any]:
    """The contract's job object, ready for JSON; secret values are masked."""
    return {
        **as_event(job),
        "command": job.command,
        "environment": shown_environment(job),
        "config": shown_config(job),
    }


def detail_dict(job: Job) -> dict[str, Any]:
    """The same with what the run began from, which may be long."""
    return as_dict(job) | {"origin": origin_dict(job)}


def origin_dict(job: Job) -> dict[str, Any] | None:
    """What the run began from; None as long as the machine has not told it."""
    row = JobOrigin.objects.filter(job=job).first()
    return None if row is None else row.data | {"recorded_at": iso(row.recorded_at)}


def as_event(job: Job) -> dict[str, Any]:
    """The job without what may be long: needs `connection` and `requested_by`, asks nothing."""
    return {
        "id": str(job.pk),
        "project_id": str(job.project_id),
        "connection_id": str(job.connection_id),
        "name": job.name,
        "model_name": job.model_name,
        "kind": job.kind,
        "command": job.command[:_SHOWN_COMMAND],
        "image": job.image or None,
        "virtualenv": job.virtualenv or None,
        "conda_env": job.conda_env or None,
        "gpus": job.gpus,
        "granted_gpus": job.granted,
        "wait_for_gpu": job.wait_for_gpu,
        "priority": job.priority,
        "max_minutes": job.max_minutes,
        "max_retries": job.max_retries,
        "attempt": job.attempt,
        "not_before": iso(job.not_before),
        "after": _text(job.after_id),
        "retry_of": _text(job.retry_of_id),
        "status": job.status,
        "reason": job.reason or None,
        "detail": job.detail or None,
        "waiting_reason": job.waiting_reason or None,
        "estimated_start_at": iso(job.estimated_start_at),
        "stop_requested_at": iso(job.stop_requested_at),
        "container_id": job.container_id or None,
        "exit_code": job.exit_code,
        "log_bytes": job.log_bytes,
        "log_lines": job.log_lines,
        "requested_by": job.requested_by.get_username() if job.requested_by else None,
        "created_at": iso(job.created_at),
        "queued_at": iso(job.queued_at),
        "started_at": iso(job.started_at),
        "completed_at": iso(job.completed_at),
        "updated_at": iso(job.updated_at),
        "metrics": job.metrics,
    }


def change_dict(change: JobChange) -> dict[str, Any]:
    """One step of a job."""
    return {
        "at": iso(change.at),
        "from": change.from_status or None,
        "to": change.to_status,
        "who": change.who,
        "why": change.why or None,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def wish_dict(row: GpuWish) -> dict[str, Any]:
    """A GPU that somebody waits for."""
    return {"gpu": row.gpu, "created_at": iso(row.created_at)}


def queue_dict(row: MachineQueue) -> dict[str, Any]:
    """The rules of a machine's queue."""
    return {
        "is_paused": row.is_paused,
        "paused_by": row.paused_by.get_username() if row.paused_by else None,
        "paused_at": iso(row.paused_at),
        "idle_percent": row.idle_percent,
        "idle_bytes": row.idle_bytes,
        "hold_seconds": row.hold_seconds,
        "per_person": row.per_person,
    }
