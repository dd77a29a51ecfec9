"""Addresses of the pages: jobs."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
