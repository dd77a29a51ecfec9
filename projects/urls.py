"""Addresses of the pages and form posts about projects."""

from django.urls import path

from projects import config_views, form_views, views

urlpatterns = [
    path("", views.overview, name="projects"),
    path("trash", views.trash, name="project_trash"),
    path("add", form_views.add, name="project_add"),
    path("<uuid:project_id>/", views.project, name="project"),
    path("<uuid:project_id>/edit", form_views.edit, name="project_edit"),
    path("<uuid:project_id>/config", config_views.save, name="project_config"),
    path("<uuid:project_id>/status", views.set_status, name="project_status"),
    path("<uuid:project_id>/check", views.check_folder, name="project_check"),
    path("<uuid:project_id>/delete", views.delete, name="project_delete"),
    path("<uuid:project_id>/restore", views.restore, name="project_restore"),
]
