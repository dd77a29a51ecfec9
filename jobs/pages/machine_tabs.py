"""The tabs of a job for which its machine is asked: its files, and its container.

Both are for who may use the machine; others are told so by the template. A machine that cannot be
asked leaves a page with a sentence on it.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.policy import Caller
from jobs import command_preview
from jobs.models import Job, Kind
from jobs.pages import container, file_tab


def files(request: HttpRequest, caller: Caller, context: dict[str, Any]) -> HttpResponse:
    """The folder or the file that `?root=` and `?path=` name."""
    if context["may_operate"]:
        context |= file_tab.context(caller, context["job"], request.META["QUERY_STRING"])
    return render(request, "jobs/job_files.html", context)


def of_container(request: HttpRequest, caller: Caller, context: dict[str, Any]) -> HttpResponse:
    """What the site knows; with `?ask=1` also what the machine's docker says, which takes time."""
    row: Job = context["job"]
    context |= {"script": command_preview.script(row), "container_name": container.name_of(row)}
    has_run = row.kind == Kind.CONTAINER and row.started_at is not None
    if "ask" in request.GET and context["may_operate"] and has_run:
        context["seen"] = container.look(caller, row)
    is_fragment = request.headers.get("HX-Request") == "true"
    name = "jobs/_container_state.html" if is_fragment else "jobs/job_container.html"
    return render(request, name, context)
