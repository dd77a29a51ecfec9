"""Addresses of the pages: alert rules and alerts."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
