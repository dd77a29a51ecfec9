"""Addresses of the pages: who used which gpu."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
