"""Addresses of the pages and form posts about machines."""

from django.urls import path

from connections import views

urlpatterns = [
    path("trash", views.trash, name="connection_trash"),
    path("add", views.add, name="connection_add"),
    path("test", views.test_draft, name="connection_test_draft"),
    path("<uuid:connection_id>/edit", views.edit, name="connection_edit"),
    path("<uuid:connection_id>/connect", views.connect, name="connection_connect"),
    path("<uuid:connection_id>/disconnect", views.disconnect, name="connection_disconnect"),
    path("<uuid:connection_id>/host-key", views.accept_host_key, name="connection_host_key"),
    path("<uuid:connection_id>/delete", views.delete, name="connection_delete"),
    path("<uuid:connection_id>/restore", views.restore, name="connection_restore"),
    path("<uuid:connection_id>/test", views.test_stored, name="connection_test"),
]
