"""Addresses of the exports' page, below /exports/. Files are downloaded from the API."""

from django.urls import path

from exports import views

urlpatterns = [
    path("", views.index, name="exports"),
    path("of/<uuid:connection_id>", views.make_dual, name="export_dual"),
    path("<uuid:export_id>/cancel", views.cancel, name="export_cancel"),
    path("<uuid:export_id>/repeat", views.repeat, name="export_repeat"),
    path("<uuid:export_id>/delete", views.delete, name="export_delete"),
    path("<uuid:export_id>/restore", views.restore, name="export_restore"),
    path("schedules", views.add_schedule, name="export_schedules"),
    path(
        "schedules/<uuid:schedule_id>/delete",
        views.delete_schedule,
        name="export_schedule_delete",
    ),
    path(
        "schedules/<uuid:schedule_id>/restore",
        views.restore_schedule,
        name="export_schedule_restore",
    ),
]
