"""Addresses of the pages and form posts about machines."""

from django.urls import path

from connections.pages import views as pages_views

urlpatterns = [
    path("trash", pages_views.trash, name="connection_trash"),
    path("add", pages_views.add, name="connection_add"),
    path("test", pages_views.test_draft, name="connection_test_draft"),
    path("<uuid:connection_id>/edit", pages_views.edit, name="connection_edit"),
    path("<uuid:connection_id>/connect", pages_views.connect, name="connection_connect"),
    path("<uuid:connection_id>/disconnect", pages_views.disconnect, name="connection_disconnect"),
    path("<uuid:connection_id>/host-key", pages_views.accept_host_key, name="connection_host_key"),
    path("<uuid:connection_id>/delete", pages_views.delete, name="connection_delete"),
    path("<uuid:connection_id>/restore", pages_views.restore, name="connection_restore"),
    path("<uuid:connection_id>/test", pages_views.test_stored, name="connection_test"),
]
