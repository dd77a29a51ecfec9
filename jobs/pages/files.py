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
from jobs import services
from jobs.files import access as files_access
from jobs.files import download as files_download
from jobs.pages import context as pages_context
from jobs.pages import file_tab


@login_required
@require_GET
def download(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """`?root=project|job&path=`: the bytes; where that cannot be, the tab says why."""
    caller = caller_from_page(request)
    row = services.find(caller, job_id, "job.files")
    files_access.check(caller, row)
    place = file_tab.Place.read(request.META["QUERY_STRING"])
    files_access.note_download(caller, row, place.root, place.path)
    try:
        return files_download.response(row, place.root, place.path, caller.user.pk)
    except (Refused, NotReached) as error:
        context = pages_context.job_context(caller, row) | file_tab.refused(place, error.detail)
        return render(request, "jobs/job_files.html", context, status=HTTPStatus.CONFLICT)
