"""Every socket's address."""

from django.urls import path, re_path

from dgxsite.sockets.consumers import LiveConsumer, NoSuchSocket, ThisMachineConsumer

websocket_urlpatterns = [
    path("ws/live/", LiveConsumer.as_asgi()),
    path("ws/metrics/", ThisMachineConsumer.as_asgi()),
    re_path("", NoSuchSocket.as_asgi()),
]
