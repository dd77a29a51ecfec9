"""Exports over the REST API: declare, look up, call a service, answer."""

from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router
from ninja.responses import Status

from accounts.auth.callers import caller_of
from accounts.auth.idempotency import REPEATABLE, REPLAYED, once
from connections import visits
from core.errors import NoRoom
from core.openapi import file, raises
from core.pagination import Page, listing
from exports import download, plan, ranges, schedules, schemas, services
from exports.serializers import export_dict, schedule_dict

router = Router(tags=["exports"])

_FILES = file(*plan.CONTENT_TYPES.values()) | raises(NoRoom)


@router.get("/connections/{connection_id}/metrics/export", openapi_extra=_FILES)
def export_range(
    request: HttpRequest, connection_id: UUID, query: Query[schemas.RangeQuery]
) -> StreamingHttpResponse:
    """A range of the history as a file, streamed."""
    return ranges.download_range(caller_of(request), connection_id, query)


@router.post(
    "/connections/{connection_id}/exports",
    response={201: schemas.ExportOut},
    openapi_extra=REPEATABLE,
)
def create_export(request: HttpRequest, connection_id: UUID, payload: schemas.ExportIn) -> Any:
    """Store an export here and on the machine; answers when both sides have ended.

    The row is what is made once; the machine is reached outside of any transaction.
    """
    caller = caller_of(request)
    row = services.draft(
        caller,
        connection_id,
        kind=payload.kind,
        range_=payload.range,
        format_=payload.format,
        remote_directory=payload.remote_directory,
    )

    def store() -> Status[Any]:
        services.begin(caller, row)
        return Status(201, {"id": str(row.pk)})

    with visits.take(caller):
        answer = once(request, store)
        if not isinstance(answer, HttpResponse):
            return Status(201, export_dict(services.make_now(row)))
        made = services.finished(UUID(orjson.loads(answer.content)["id"]))
    body = orjson.dumps(export_dict(made))
    return HttpResponse(
        body, status=201, content_type="application/json", headers={REPLAYED: "true"}
    )


@router.get("/exports", response=schemas.ExportList)
def list_exports(
    request: HttpRequest, page: Query[Page], connection_id: UUID | None = None
) -> dict[str, Any]:
    """The exports that became files, newest first."""
    rows = services.visible(caller_of(request))
    if connection_id is not None:
        rows = rows.filter(connection_id=connection_id)
    return listing(rows, page, export_dict)


@router.get("/exports/{export_id}", response=schemas.ExportOut)
def get_export(request: HttpRequest, export_id: UUID) -> dict[str, Any]:
    """One export, also while it is being made."""
    return export_dict(services.find(caller_of(request), export_id))


@router.get("/exports/{export_id}/download", openapi_extra=_FILES)
def download_export(request: HttpRequest, export_id: UUID) -> StreamingHttpResponse:
    """The site's copy."""
    caller = caller_of(request)
    return download.stored(services.downloadable(caller, export_id), caller.user.pk)


@router.delete("/exports/{export_id}", response={204: None})
def delete_export(request: HttpRequest, export_id: UUID) -> Status[None]:
    """Into the trash for 30 days; the copy on the machine stays."""
    services.delete(caller_of(request), export_id)
    return Status(204, None)


@router.post("/exports/{export_id}/restore", response=schemas.ExportOut)
def restore_export(request: HttpRequest, export_id: UUID) -> dict[str, Any]:
    return export_dict(services.restore(caller_of(request), export_id))


@router.post("/exports/{export_id}/cancel", response=schemas.ExportOut)
def cancel_export(request: HttpRequest, export_id: UUID) -> dict[str, Any]:
    """Stop one that is being made."""
    return export_dict(services.cancel(caller_of(request), export_id))


@router.post(
    "/exports/{export_id}/repeat", response={201: schemas.ExportOut}, openapi_extra=REPEATABLE
)
def repeat_export(request: HttpRequest, export_id: UUID) -> Any:
    """The same again with the data of now, made by a worker."""
    caller = caller_of(request)
    return once(request, lambda: Status(201, export_dict(services.repeat(caller, export_id))))


@router.get("/export-schedules", response=schemas.ScheduleList)
def list_export_schedules(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    """The exports that are made at set times, the next one first."""
    return listing(schedules.visible(caller_of(request)), page, schedule_dict)


@router.post("/export-schedules", response={201: schemas.ScheduleOut}, openapi_extra=REPEATABLE)
def create_export_schedule(request: HttpRequest, payload: schemas.ScheduleIn) -> Any:
    caller = caller_of(request)

    def work() -> Status[Any]:
        made = schedules.create(
            caller,
            payload.connection_id,
            kind=payload.kind,
            range_=payload.range,
            format_=payload.format,
            times=payload.cron,
            keep_days=payload.keep_days,
            keep_count=payload.keep_count,
        )
        return Status(201, schedule_dict(made))

    return once(request, work)


@router.delete("/export-schedules/{schedule_id}", response={204: None})
def delete_export_schedule(request: HttpRequest, schedule_id: UUID) -> Status[None]:
    """Stop it; what it has made stays."""
    schedules.delete(caller_of(request), schedule_id)
    return Status(204, None)


@router.post("/export-schedules/{schedule_id}/restore", response=schemas.ScheduleOut)
def restore_export_schedule(request: HttpRequest, schedule_id: UUID) -> dict[str, Any]:
    return schedule_dict(schedules.restore(caller_of(request), schedule_id))
