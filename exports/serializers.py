"""Exports and schedules as other programs see them."""

from typing import Any

from core.times import iso
from exports.models import Export, ExportSchedule, Kind

Side = dict[str, Any]


def export_dict(row: Export) -> dict[str, Any]:
    """The contract's export object; needs `select_related("requested_by")`."""
    return {
        "id": str(row.pk),
        "connection_id": str(row.connection_id),
        "schedule_id": str(row.schedule_id) if row.schedule_id else None,
        "kind": row.kind,
        "range": row.range or None,
        "format": row.format,
        "state": row.state,
        "filename": row.filename or None,
        "size_bytes": row.size_bytes,
        "rows": row.rows,
        "bytes_done": row.bytes_done,
        "bytes_total": row.bytes_total,
        "sha256": row.local_sha256 or row.remote_sha256 or None,
        "local": _local(row),
        "remote": _remote(row) if row.kind == Kind.DUAL else None,
        "downloadable": row.is_downloadable,
        "duration_ms": row.duration_ms,
        "requested_by": row.requested_by.get_username() if row.requested_by else None,
        "created_at": iso(row.created_at),
        "finished_at": iso(row.finished_at),
    }


def _local(row: Export) -> Side:
    path = str(row.path) if row.is_downloadable else None
    return _side(row, row.local_ok, path, row.local_sha256, row.local_error)


def _remote(row: Export) -> Side:
    return _side(row, row.remote_ok, row.remote_path or None, row.remote_sha256, row.remote_error)


def _side(row: Export, ok: bool | None, path: str | None, sha256: str, error: str) -> Side:
    """`ok` is null until the side has ended."""
    return {
        "ok": ok,
        "path": path,
        "bytes": row.size_bytes if ok else None,
        "sha256": sha256 or None,
        "error": error or None,
    }


def schedule_dict(row: ExportSchedule) -> dict[str, Any]:
    """Needs `select_related("periodic_task__crontab", "created_by", "connection__team")`."""
    return {
        "id": str(row.pk),
        "connection_id": str(row.connection_id),
        "kind": row.kind,
        "range": row.range or None,
        "format": row.format,
        "cron": row.cron,
        "next_run_at": iso(row.next_run_at),
        "keep_days": row.keep_days,
        "keep_count": row.keep_count,
        "created_by": row.created_by.get_username() if row.created_by else None,
        "rests_because": row.objection or row.skipped_because or None,
        "created_at": iso(row.created_at),
    }
