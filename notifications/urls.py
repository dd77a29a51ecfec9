"""Addresses of the notification pages."""

from django.urls import path

from notifications import views

urlpatterns = [
    path("", views.notifications, name="notifications"),
    path("read", views.mark_read, name="notifications_read"),
    path("<uuid:event_id>/open", views.open_one, name="notification_open"),
    path("choices", views.choices, name="notification_choices"),
    path("channels", views.channels, name="channels"),
    path("channels/<uuid:channel_id>", views.channel, name="channel"),
    path("channels/<uuid:channel_id>/test", views.test_channel, name="channel_test"),
    path("channels/<uuid:channel_id>/delete", views.delete_channel, name="channel_delete"),
]
