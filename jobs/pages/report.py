"""The page that tells one run as a whole, to be read, printed or kept as a PDF."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.auth.callers import caller_from_page
from jobs import services
from jobs.pages import report_context


@login_required
@require_GET
def report(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """What it was, began from, used and printed, with small curves and the end of its log."""
    found = services.find(caller_from_page(request), job_id)
    return render(request, "jobs/report.html", report_context.context(found))
