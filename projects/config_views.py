"""The editor of a configuration: look at what changes, then save it.

Two posts to one address: `step=review` checks the texts and shows the difference, `step=save`
stores them. With htmx the answer is a fragment, so that what was typed stays in the browser.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from accounts.auth.callers import caller_from_page
from accounts.policy import Caller
from core.errors import ChangedMeanwhile, Conflict, SiteError, TooLarge, TooMany
from core.numbers import whole
from projects import config, differences, hidden, pages, schema_checks, services
from projects.json_lines import Problem
from projects.models import Project

_TEXTS = ("config_text", "schema_text")
_ABOUT = {"config": "config_text", "config_schema": "schema_text"}


@dataclass(frozen=True, slots=True)
class Sent:
    """What stands in the form."""

    config_text: str
    schema_text: str
    revision: int | None


def editor(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The page with the stored texts; read-only for who may not change them."""
    row: Project = context["project"]
    context |= {"tab": "config", "revision": row.revision}
    context |= {"config_text": hidden.shown(row.config_text), "schema_text": row.schema_text}
    return render(request, "projects/project_config.html", context)


@login_required
@require_POST
def save(request: HttpRequest, project_id: UUID) -> HttpResponseBase:
    """Check, show the difference, and on the second step store it."""
    caller = caller_from_page(request)
    row = services.find(caller, project_id, "project.change")
    sent = _read(request)
    outcome: dict[str, Any] = {"revision": sent.revision or row.revision}
    status = 200
    try:
        if request.POST.get("step") == "save":
            fields = {"config_text": sent.config_text, "schema_text": sent.schema_text}
            services.change(caller, project_id, fields, revision=sent.revision)
            return _saved(request, row)
        outcome |= _review(caller, row, sent)
    except config.Broken as error:
        status, outcome = 422, outcome | _problems(error)
    except TooLarge as error:
        status, outcome = 422, outcome | {"problems": [(Problem(1, (), error.detail), "")]}
    except ChangedMeanwhile:
        status, outcome = 409, _conflict(services.find(caller, project_id), sent)
    except (Conflict, TooMany):
        raise
    except SiteError as error:
        status, outcome = 422, outcome | {"problems": [(Problem(1, (), error.detail), "")]}
    return _answer(request, pages.project_context(caller, row), sent, outcome, status)


def _read(request: HttpRequest) -> Sent:
    """Browsers send line breaks as CR LF."""
    texts = [request.POST.get(name, "").replace("\r\n", "\n") for name in _TEXTS]
    revision = request.POST.get("revision", "")
    return Sent(texts[0], texts[1], whole(revision, 10**9 - 1))


def _review(caller: Caller, row: Project, sent: Sent) -> dict[str, Any]:
    if sent.revision is not None and sent.revision != row.revision:
        raise ChangedMeanwhile
    text = hidden.kept(sent.config_text, row.config_text)
    written = schema_checks.check(caller, text, sent.schema_text)
    return {
        "is_reviewed": True,
        "config_lines": _differences(row.config_text, written.config_text),
        "schema_lines": differences.between(row.schema_text, written.schema_text),
    }


def _differences(before: str, after: str) -> list[differences.Line]:
    """Line by line, with secret values masked; another one is said to be another one."""
    return differences.between(hidden.shown(before), hidden.shown(after, before))


def _problems(error: config.Broken) -> dict[str, Any]:
    return {"problems": [(problem, _ABOUT[error.about]) for problem in error.problems]}


def _conflict(theirs: Project, sent: Sent) -> dict[str, Any]:
    """Their version against this one; saving from here on replaces exactly that version."""
    return {
        "is_conflict": True,
        "revision": theirs.revision,
        "theirs": theirs,
        "config_lines": _differences(theirs.config_text, sent.config_text),
        "schema_lines": differences.between(theirs.schema_text, sent.schema_text),
    }


def _answer(
    request: HttpRequest, context: dict[str, Any], sent: Sent, outcome: dict[str, Any], status: int
) -> HttpResponse:
    context |= {"tab": "config", "config_text": sent.config_text, "schema_text": sent.schema_text}
    is_fragment = request.headers.get("HX-Request") == "true"
    name = "projects/_config_outcome.html" if is_fragment else "projects/project_config.html"
    return render(request, name, context | outcome, status=status)


def _saved(request: HttpRequest, row: Project) -> HttpResponseBase:
    messages.success(request, "The configuration is saved.")
    address = f"{reverse('project', args=[row.pk])}?tab=config"
    if request.headers.get("HX-Request") == "true":
        return HttpResponseClientRedirect(address)
    return redirect(address)
