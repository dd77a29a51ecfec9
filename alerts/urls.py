"""Addresses of the pages: alert rules and alerts."""

from django.urls import path

from alerts import views

urlpatterns = [
    path("", views.index, name="alerts"),
    path("<uuid:alert_id>/acknowledge", views.acknowledge, name="alert_acknowledge"),
    path("machines/<uuid:connection_id>", views.of_machine, name="alerts_of_machine"),
    path("rules/add", views.add_rule, name="alert_rule_add"),
    path("rules/preview", views.preview_rule, name="alert_rule_preview"),
    path("rules/suggested", views.enable_suggestion, name="alert_rule_suggested"),
    path("rules/<uuid:rule_id>", views.edit_rule, name="alert_rule"),
    path("rules/<uuid:rule_id>/snooze", views.snooze_rule, name="alert_rule_snooze"),
    path("rules/<uuid:rule_id>/switch", views.switch_rule, name="alert_rule_switch"),
    path("rules/<uuid:rule_id>/delete", views.delete_rule, name="alert_rule_delete"),
    path("rules/<uuid:rule_id>/restore", views.restore_rule, name="alert_rule_restore"),
]
