"""Which build of the site is running, so that an open page can tell that it is an older one."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET


def build() -> str:
    """The version and, where static files are hashed, the hash of them all."""
    files = getattr(staticfiles_storage, "manifest_hash", "")
    return f"{settings.VERSION}-{files}" if files else settings.VERSION


@login_required
@require_GET
def version(request: HttpRequest) -> JsonResponse:
    """`{"build"}`; a page asks after its socket has come back."""
    return JsonResponse({"build": build()})
