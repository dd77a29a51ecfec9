"""The jobs' tab on the page of a machine."""

from django.urls import path

from jobs import views

urlpatterns = [path("<uuid:connection_id>/jobs", views.of_machine, name="machine_jobs")]
