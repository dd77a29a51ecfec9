"""Addresses of the pages and form posts about jobs."""

from django.urls import path

from jobs.compare import views as compare_views
from jobs.pages import actions as pages_actions
from jobs.pages import create as pages_create
from jobs.pages import files as pages_files
from jobs.pages import report as pages_report
from jobs.pages import views as pages_views

urlpatterns = [
    path("", pages_views.overview, name="jobs"),
    path("trash", pages_views.trash, name="job_trash"),
    path("add", pages_create.add, name="job_add"),
    path("preview", pages_create.preview_command, name="job_preview"),
    path("compare", compare_views.page, name="job_compare"),
    path("compare/csv", compare_views.csv_file, name="job_compare_csv"),
    path("<uuid:job_id>/", pages_views.job, name="job"),
    path("<uuid:job_id>/report", pages_report.report, name="job_report"),
    path("<uuid:job_id>/lines", pages_views.log_lines, name="job_lines"),
    path("<uuid:job_id>/file", pages_files.download, name="job_file"),
    path("<uuid:job_id>/start", pages_actions.start, name="job_start"),
    path("<uuid:job_id>/stop", pages_actions.stop, name="job_stop"),
    path("<uuid:job_id>/relaunch", pages_actions.relaunch, name="job_relaunch"),
    path("<uuid:job_id>/delete", pages_actions.delete, name="job_delete"),
    path("<uuid:job_id>/restore", pages_actions.restore, name="job_restore"),
]
