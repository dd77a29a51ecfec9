"""Addresses of the pages: who used which GPU."""

from django.urls import path

from usage import views

urlpatterns = [
    path("", views.usage_page, name="usage"),
    path("csv", views.usage_csv, name="usage_csv"),
]
