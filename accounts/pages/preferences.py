"""The settings page of a person."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts import preferences
from accounts.auth.callers import caller_from_page
from accounts.pages.preference_form import PreferenceForm, initial
from core.errors import SiteError


@login_required
@require_http_methods(["GET", "POST"])
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show the choices, or keep them; what is wrong is told beside its field."""
    user = caller_from_page(request).user
    if request.method != "POST":
        form = PreferenceForm(initial=initial(user, preferences.of(user)))
        return render(request, "accounts/settings.html", {"form": form})
    form = PreferenceForm(request.POST)
    if form.is_valid():
        fields = dict(form.cleaned_data)
        names = (fields.pop("first_name"), fields.pop("last_name"))
        try:
            preferences.change(user, names, fields)
        except SiteError as error:
            for found in error.errors:
                form.add_error(found.field, found.message)
        else:
            messages.success(request, "Saved.")
            return redirect("settings")
    return render(request, "accounts/settings.html", {"form": form}, status=422)
