"""The jobs' tab on the page of a machine, its queue, and who waits for its GPUs."""

from django.urls import path

from jobs.pages import gpu_alerts
from jobs.pages import queue as pages_queue
from jobs.pages import views as pages_views

urlpatterns = [
    path("<uuid:connection_id>/jobs", pages_views.of_machine, name="machine_jobs"),
    path("<uuid:connection_id>/queue", pages_queue.change, name="machine_queue"),
    path("<uuid:connection_id>/gpu-alert", gpu_alerts.change_alert, name="machine_gpu_alert"),
    path("<uuid:connection_id>/gpu-wish", gpu_alerts.redirect_gpu_wish),
]
