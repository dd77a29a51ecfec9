"""Addresses of the pages and form posts about projects."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
