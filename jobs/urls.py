"""Addresses of the pages and form posts about jobs."""

from django.urls import path

from jobs import compare_views, file_views, form_views, post_views, report_views, views

urlpatterns = [
    path("", views.overview, name="jobs"),
    path("trash", views.trash, name="job_trash"),
    path("add", form_views.add, name="job_add"),
    path("preview", form_views.preview_command, name="job_preview"),
    path("compare", compare_views.page, name="job_compare"),
    path("compare/csv", compare_views.csv_file, name="job_compare_csv"),
    path("<uuid:job_id>/", views.job, name="job"),
    path("<uuid:job_id>/report", report_views.report, name="job_report"),
    path("<uuid:job_id>/lines", views.log_lines, name="job_lines"),
    path("<uuid:job_id>/file", file_views.download, name="job_file"),
    path("<uuid:job_id>/start", post_views.start, name="job_start"),
    path("<uuid:job_id>/stop", post_views.stop, name="job_stop"),
    path("<uuid:job_id>/relaunch", post_views.relaunch, name="job_relaunch"),
    path("<uuid:job_id>/delete", post_views.delete, name="job_delete"),
    path("<uuid:job_id>/restore", post_views.restore, name="job_restore"),
]
