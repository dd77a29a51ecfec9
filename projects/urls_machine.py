"""The projects' tab on the page of a machine."""

from django.urls import path

from projects import views

urlpatterns = [path("<uuid:connection_id>/projects", views.of_machine, name="machine_projects")]
