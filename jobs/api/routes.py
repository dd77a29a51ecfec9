"""Jobs over the REST API: declare, look up, call a service, answer."""

from typing import Any
from uuid import UUID

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponsePermanentRedirect,
    StreamingHttpResponse,
)
from ninja import Query, Router
from ninja.responses import Status

from accounts.auth.callers import caller_of
from accounts.auth.idempotency import REPEATABLE, once, once_prepared
from core.errors import Invalid
from core.openapi import file
from core.pagination import Page, listing
from jobs import inputs as jobs_inputs
from jobs import services
from jobs.api import schemas
from jobs.log import download as log_download
from jobs.log import search as log_search
from jobs.log import store as log_store
from jobs.queue import gpu_alerts
from jobs.report import bundle
from jobs.results import scalars as results_scalars
from jobs.results import summary as results_summary
from jobs.serializers import as_dict, change_dict, detail_dict, queue_dict, wish_dict
from metrics.history import columnar

router = Router(tags=["jobs"])
queues = Router(tags=["jobs"])


@router.get("", response=schemas.JobList)
def list_jobs(request: HttpRequest, page: Query[schemas.JobFilter]) -> dict[str, Any]:
    """The jobs of the machines that the caller may see, the newest first."""
    rows = services.visible(caller_of(request)).order_by("-created_at", "-pk")
    wanted = {
        "connection_id": page.connection_id,
        "project_id": page.project_id,
        "status": page.status,
        "name__icontains": page.q or None,
    }
    rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
    return listing(rows, page, as_dict)


@router.post("", response={201: schemas.JobOut}, openapi_extra=REPEATABLE)
def create_job(request: HttpRequest, payload: schemas.JobIn) -> Any:
    """Make a job; unless `start` is false it goes into its machine's queue."""
    caller = caller_of(request)
    return once_prepared(
        request,
        lambda: jobs_inputs.new(caller, payload.model_dump(exclude_unset=True)),
        lambda row: Status(201, as_dict(services.add(caller, row, start=payload.start))),
    )


@router.get("/{job_id}", response=schemas.JobDetailOut)
def get_job(request: HttpRequest, job_id: UUID) -> dict[str, Any]:
    """One job, and what its run began from."""
    return detail_dict(services.find(caller_of(request), job_id))


@router.patch("/{job_id}", response=schemas.JobOut)
def change_job(request: HttpRequest, job_id: UUID, payload: schemas.JobPatch) -> dict[str, Any]:
    """Change what is sent; once it runs, only its name and retries."""
    fields = payload.model_dump(exclude_unset=True)
    return as_dict(services.change(caller_of(request), job_id, fields))


@router.delete("/{job_id}", response={204: None})
def delete_job(request: HttpRequest, job_id: UUID) -> Status[None]:
    """Into the trash, from which it comes back by `restore` within 30 days."""
    services.delete(caller_of(request), job_id)
    return Status(204, None)


@router.post("/{job_id}/restore", response=schemas.JobOut)
def restore_job(request: HttpRequest, job_id: UUID) -> dict[str, Any]:
    return as_dict(services.restore(caller_of(request), job_id))


@router.post("/{job_id}/start", response={202: schemas.JobOut}, openapi_extra=REPEATABLE)
def start_job(request: HttpRequest, job_id: UUID) -> Any:
    """Put a pending job into the queue."""
    caller = caller_of(request)
    return once(request, lambda: Status(202, as_dict(services.start(caller, job_id))))


@router.post("/{job_id}/stop", response={202: schemas.JobOut}, openapi_extra=REPEATABLE)
def stop_job(request: HttpRequest, job_id: UUID) -> Any:
    """Wish it ended; the state follows by itself."""
    caller = caller_of(request)
    return once(request, lambda: Status(202, as_dict(services.stop(caller, job_id))))


@router.post("/{job_id}/retry", response={201: schemas.JobOut}, openapi_extra=REPEATABLE)
def retry_job(request: HttpRequest, job_id: UUID) -> Any:
    """A new job that asks for the same, with `retry_of`."""
    caller = caller_of(request)
    return once(request, lambda: Status(201, as_dict(services.retry(caller, job_id))))


@router.get("/{job_id}/events", response=schemas.ChangeList, by_alias=True)
def list_job_events(request: HttpRequest, job_id: UUID, page: Query[Page]) -> dict[str, Any]:
    """The job's steps, the oldest first."""
    row = services.find(caller_of(request), job_id)
    return listing(row.changes.order_by("id"), page, change_dict)


@router.get("/{job_id}/log", response=schemas.LogOut)
def get_job_log(request: HttpRequest, job_id: UUID, part: Query[schemas.LogPart]) -> dict[str, Any]:
    """A piece of the log by byte offset; `complete` when nothing will follow it."""
    row = services.find(caller_of(request), job_id)
    data = log_store.read(row, part.offset, part.limit)
    # Nothing follows what is dropped when a log has been kept long enough either.
    is_over = row.log_complete and (not data or part.offset + len(data) >= row.log_bytes)
    if not is_over:
        data = log_store.whole_characters(data) or data
    return {
        "offset": part.offset,
        "next_offset": part.offset + len(data),
        "text": data.decode("utf-8", "replace"),
        "complete": is_over,
    }


@router.get("/{job_id}/log/download", openapi_extra=file())
def download_job_log(request: HttpRequest, job_id: UUID) -> StreamingHttpResponse:
    """The log's bytes as they were read, as a file."""
    caller = caller_of(request)
    return log_download.response(services.find(caller, job_id), caller.user.pk)


@router.get("/{job_id}/bundle", openapi_extra=file("application/zip"))
def download_job_bundle(request: HttpRequest, job_id: UUID) -> StreamingHttpResponse:
    """The run as one zip: report, configuration, origin, tables as Parquet, and the log."""
    caller = caller_of(request)
    return bundle.response(services.find(caller, job_id), caller.user.pk)


@router.get("/{job_id}/log/search", response=schemas.FoundList, exclude_unset=True)
def search_job_log(
    request: HttpRequest, job_id: UUID, page: Query[schemas.LogWords]
) -> dict[str, Any]:
    """The lines that hold some words, whatever the case; the first thousand.

    `complete` is there, and false, when the log is too long to be read to its end in time.
    """
    caller = caller_of(request)
    row = services.find(caller, job_id)
    if not page.q:
        raise Invalid.field("q", "Say what to look for.")
    with log_search.SEARCHES.take(caller.user.pk):
        search = log_search.search(row, page.q)
    part = search.found[page.offset : page.offset + page.limit]
    items = [{"line": one.line, "offset": one.offset, "text": one.text} for one in part]
    cut = {} if search.is_whole else {"complete": False}
    return {"items": items, "count": len(search.found)} | cut


@router.get("/{job_id}/metrics", response=schemas.JobMetricsOut)
def get_job_metrics(
    request: HttpRequest, job_id: UUID, query: Query[schemas.MetricsQuery]
) -> HttpResponse:
    """Curves of the machine and the granted GPUs over the run, energy, cost, and scalars."""
    row = services.find(caller_of(request), job_id)
    return columnar.response(request, results_summary.as_dict(row, query.max_points))


@router.get("/{job_id}/scalars", response=schemas.ScalarsOut)
def get_job_scalars(
    request: HttpRequest, job_id: UUID, query: Query[schemas.ScalarsQuery]
) -> HttpResponse:
    """What it has printed: the curves of some names, and the last value of every one."""
    row = services.find(caller_of(request), job_id)
    return columnar.response(request, results_scalars.as_dict(row, query.name, query.max_points))


@queues.get("/{connection_id}/gpu-alerts", response=schemas.WishList)
def list_gpu_alerts(request: HttpRequest, connection_id: UUID, page: Query[Page]) -> dict[str, Any]:
    """The GPUs of this machine whose availability the caller is notified of."""
    return listing(gpu_alerts.own_alerts(caller_of(request), connection_id), page, wish_dict)


@queues.post(
    "/{connection_id}/gpu-alerts", response={201: schemas.WishOut}, openapi_extra=REPEATABLE
)
def create_gpu_alert(request: HttpRequest, connection_id: UUID, payload: schemas.WishIn) -> Any:
    """Be notified once when it is free."""
    caller = caller_of(request)
    return once(
        request,
        lambda: Status(201, wish_dict(gpu_alerts.create_alert(caller, connection_id, payload.gpu))),
    )


@queues.delete("/{connection_id}/gpu-alerts", response={204: None})
def delete_gpu_alerts(request: HttpRequest, connection_id: UUID) -> Status[None]:
    """Delete the caller's GPU alerts on this machine."""
    gpu_alerts.cancel_alerts(caller_of(request), connection_id)
    return Status(204, None)


@queues.api_operation(
    ["GET", "POST", "DELETE"], "/{connection_id}/gpu-wishes", include_in_schema=False
)
def redirect_gpu_wishes(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """The path of before; the method and the body stay."""
    gpu_alerts.own_alerts(caller_of(request), connection_id)
    path = request.get_full_path().replace("/gpu-wishes", "/gpu-alerts")
    return HttpResponsePermanentRedirect(path, preserve_request=True)


@queues.get("/{connection_id}/queue", response=schemas.QueueOut)
def get_queue(request: HttpRequest, connection_id: UUID) -> dict[str, Any]:
    """The rules by which the machine's queue gives out its GPUs."""
    return queue_dict(services.queue_of(caller_of(request), connection_id))


@queues.patch("/{connection_id}/queue", response=schemas.QueueOut)
def change_queue(
    request: HttpRequest, connection_id: UUID, payload: schemas.QueuePatch
) -> dict[str, Any]:
    """Change the rules, or pause the queue; what runs goes on."""
    fields = payload.model_dump(exclude_unset=True)
    return queue_dict(services.change_queue(caller_of(request), connection_id, fields))
