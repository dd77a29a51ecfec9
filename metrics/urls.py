"""Addresses of the pages that show readings."""

from django.urls import path

from metrics import compare_views, views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("machines/<uuid:connection_id>/", views.machine, name="machine"),
    path("this-machine", views.this_machine, name="this_machine_page"),
    path("compare/", compare_views.page, name="compare"),
    path("compare/csv", compare_views.csv_file, name="compare_csv"),
]
