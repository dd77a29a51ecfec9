"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

from core.web import error_pages
from dgxsite import status
from dgxsite.http import csp_reports
from dgxsite.palette import palette
from dgxsite.version import version

urlpatterns = [
    path("", include("metrics.urls")),
    path("", include("accounts.urls")),
    path("machines/", include("connections.urls")),
    path("machines/", include("projects.urls_machine")),
    path("machines/", include("jobs.urls_machine")),
    path("accounts/", include("accounts.signin.urls")),
    path("notifications/", include("notifications.urls")),
    path("alerts/", include("alerts.urls")),
    path("exports/", include("exports.urls")),
    path("projects/", include("projects.urls")),
    path("jobs/", include("jobs.urls")),
    path("usage/", include("usage.urls")),
    path("accounts/", include("allauth.urls")),
    path("favicon.ico", error_pages.favicon),
    path("csp-reports", csp_reports.view),
    path("palette", palette, name="palette"),
    path("version", version, name="version"),
    path("status", status.view, name="status"),
    path("admin/", admin.site.urls),
    path("api/", include("dgxsite.api")),
]

handler400 = "core.web.error_pages.bad_request"
handler500 = "core.web.error_pages.server_error"
