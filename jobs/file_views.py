"""A file of a job's machine, as a download."""

from http import HTTPStatus
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.auth.callers import caller_from_page
from connections.files.browse import Refused
from connections.files.folders import NotReached
from jobs import file_download, file_pages, job_files, pages, services


@login_required
@require_GET
def download(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """`?root=project|job&path=`: the bytes; where that cannot be, the tab says why."""
    caller = caller_from_page(request)
    row = services.find(caller, job_id, "job.files")
    job_files.check(caller, row)
    place = file_pages.Place.read(request.META["QUERY_STRING"])
    job_files.note_download(caller, row, place.root, place.path)
    try:
        return file_download.response(row, place.root, place.path, caller.user.pk)
    except (Refused, NotReached) as error:
        context = pages.job_context(caller, row) | file_pages.refused(place, error.detail)
        return render(request, "jobs/job_files.html", context, status=HTTPStatus.CONFLICT)
