"""Addresses of the pages that show readings."""

from django.urls import path

from metrics.compare import views as compare_views
from metrics.pages import views as pages_views

urlpatterns = [
    path("", pages_views.overview, name="overview"),
    path("machines/<uuid:connection_id>/", pages_views.machine, name="machine"),
    path("this-machine", pages_views.this_machine, name="this_machine_page"),
    path("compare/", compare_views.page, name="compare"),
    path("compare/csv", compare_views.csv_file, name="compare_csv"),
]
