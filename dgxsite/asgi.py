"""The ASGI application: pages and API by Django, sockets by Channels.

Start it with the options of `dgxsite/up/programs.py`: `--ws-max-size 65536` ends a frame above 64
KiB before it is read into memory (the consumers check again, for servers that do not).
"""

import os
from typing import cast

import django
from channels.routing import ProtocolTypeRouter, URLRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dgxsite.settings")
django.setup(set_prefix=False)

from core.web.body_limit import App, BodyLimit  # noqa: E402 (needs every app loaded)
from core.web.request_turns import Turns  # noqa: E402
from core.web.streaming import Closing  # noqa: E402
from dgxsite.http.handler import OneThread  # noqa: E402
from dgxsite.http.proxies import BehindProxies  # noqa: E402
from dgxsite.routing import websocket_urlpatterns  # noqa: E402

pages = Closing(BodyLimit(Turns(cast("App", OneThread()))))
application = BehindProxies(
    ProtocolTypeRouter({"http": pages, "websocket": URLRouter(websocket_urlpatterns)})
)
