"""Addresses of the pages that show readings."""

from django.urls import path

from metrics import views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("machines/<uuid:connection_id>/", views.machine, name="machine"),
    path("this-machine", views.this_machine, name="this_machine_page"),
]
