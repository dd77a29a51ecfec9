"""Addresses of the pages: exports, their history and schedules."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
