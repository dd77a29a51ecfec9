"""The page of one's API tokens: made, shown once, revoked, and brought back for a while."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts import tokens
from accounts.auth.callers import caller_from_page
from accounts.models import ApiToken
from accounts.pages.forms import TokenForm
from core.errors import SiteError


@login_required
@require_http_methods(["GET", "POST"])
def token_page(request: HttpRequest) -> HttpResponse:
    """One's tokens; the answer to the POST is the only place where a secret stands."""
    if request.method == "GET":
        return _page(request, TokenForm())
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    data = form.cleaned_data
    try:
        made = tokens.create(caller_from_page(request), data["name"], data["scope"], data["days"])
    except SiteError as error:
        form.add_error(None, error.detail)
        return _page(request, form, status=422)
    return _page(request, TokenForm(), made=made)


@login_required
@require_POST
def revoke_token(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """End it; the page then offers to undo that."""
    tokens.revoke(caller_from_page(request), token_id)
    return redirect(f"{reverse('tokens')}?revoked={token_id}")


@login_required
@require_POST
def restore_token(request: HttpRequest, token_id: UUID) -> HttpResponse:
    token = tokens.restore(caller_from_page(request), token_id)
    messages.success(request, f"The token “{token.name}” works again.")
    return redirect("tokens")


def _page(
    request: HttpRequest,
    form: TokenForm,
    *,
    made: tuple[ApiToken, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    caller = caller_from_page(request)
    context = {
        "form": form,
        "made": made,
        "tokens": list(tokens.own(caller)),
        "now": timezone.now(),
        "undo_token": _undo(request),
        "base_url": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "accounts/tokens.html", context, status=status)


def _undo(request: HttpRequest) -> ApiToken | None:
    try:
        wanted = UUID(request.GET.get("revoked", ""))
    except ValueError:
        return None
    return tokens.revoked_lately(caller_from_page(request), wanted)
