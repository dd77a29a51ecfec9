"""The page of the audit trail, and the same rows as a file."""

from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.audit import query as audit_query
from accounts.auth.callers import caller_from_page
from accounts.pages.forms import AuditForm
from core.web import streaming

PAGE = 50


@login_required
@require_GET
def audit_page(request: HttpRequest) -> HttpResponse:
    """What was done, newest first, chosen by the form above it; for administrators."""
    form = AuditForm(request.GET)
    rows = audit_query.rows(caller_from_page(request), _choice(form))
    page = Paginator(rows.select_related("team"), PAGE).get_page(request.GET.get("page"))
    query = urlencode({key: value for key, value in request.GET.items() if key in form.fields})
    context = {"form": form, "page": page, "query": query}
    return render(request, "accounts/audit.html", context)


@login_required
@require_GET
def audit_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The same rows as CSV, streamed."""
    caller = caller_from_page(request)
    rows = audit_query.rows(caller, _choice(AuditForm(request.GET)))
    return streaming.answer(
        streaming.of_lines(audit_query.as_csv(rows)),
        streaming.DOWNLOADS.take(caller.user.pk),
        content_type="text/csv; charset=utf-8",
        disposition=f'attachment; filename="dgxsite-audit-{timezone.now():%Y-%m-%d}.csv"',
    )


def _choice(form: AuditForm) -> audit_query.Choice:
    """What the form asks for; a field that is not understood does not narrow."""
    form.is_valid()
    data = form.cleaned_data
    since, until = data.get("since"), data.get("until")
    return audit_query.Choice(
        actor=data.get("actor", ""),
        action=data.get("action", ""),
        object=data.get("object", ""),
        since=datetime.combine(since, time(), UTC) if since else None,
        until=datetime.combine(until + timedelta(days=1), time(), UTC) if until else None,
    )
