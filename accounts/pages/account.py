"""The account page, and the page that makes the first administrator."""

from django import forms
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from accounts.audit import query as audit_query
from accounts.auth.callers import caller_from_page
from accounts.pages.forms import FirstAdministratorForm
from accounts.signin import setup
from core.errors import NotFound, SiteError

DEEDS = 15


@login_required
@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """Who one is, in which teams, the ways to change how one logs in, and what one did lately."""
    caller = caller_from_page(request)
    context = {
        "memberships": list(caller.user.memberships.select_related("team")),
        "deeds": audit_query.own(caller).select_related("team")[:DEEDS],
    }
    return render(request, "accounts/account.html", context)


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def first_start(request: HttpRequest, token: str) -> HttpResponse:
    """The one-time link that the first start prints; a used or wrong one is not there."""
    if not setup.check(token):
        raise Http404
    form = FirstAdministratorForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return render(request, "accounts/setup.html", {"form": form})
    data = form.cleaned_data
    try:
        user = setup.create_first_administrator(token, data["username"], data["password"])
    except NotFound as error:
        raise Http404 from error
    except SiteError as error:
        _take(form, error)
        return render(request, "accounts/setup.html", {"form": form}, status=422)
    login(request, user)
    return redirect("overview")


def _take(form: forms.Form, error: SiteError) -> None:
    for found in error.errors:
        form.add_error(found.field if found.field in form.fields else None, found.message)
    if not error.errors:
        form.add_error(None, error.detail)
