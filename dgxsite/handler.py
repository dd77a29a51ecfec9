"""Django's ASGI handler, with each request in one thread from its first middleware to its answer.

As shipped, the chain goes back and forth between the event loop and threads, and a page for an
error – also for any address that does not exist – is made in a thread of the event loop. What it
asks the database for there (who is logged in) keeps that thread's connection for ever: a handful of
404s took the whole pool. In the request's own thread, what was taken is given back.
"""

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class OneThread(ASGIHandler):
    """See the module. All our views and middleware are plain functions."""

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)
