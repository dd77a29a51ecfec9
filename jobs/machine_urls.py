"""The jobs' tab on the page of a machine, its queue, and who waits for its GPUs."""

from django.urls import path

from jobs import queue_views, views, wish_views

urlpatterns = [
    path("<uuid:connection_id>/jobs", views.of_machine, name="machine_jobs"),
    path("<uuid:connection_id>/queue", queue_views.change, name="machine_queue"),
    path("<uuid:connection_id>/gpu-wish", wish_views.wish, name="machine_gpu_wish"),
]
