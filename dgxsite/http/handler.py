"""Django's ASGI handler, with each request in one thread from its first middleware to its answer.

As shipped, the chain goes back and forth between the event loop and threads, and a page for an
error – also for any address that does not exist – is made in a thread of the event loop. What it
asks the database for there (who is logged in) keeps that thread's connection for ever: a handful of
404s took the whole pool. In the request's own thread, what was taken is given back.
"""

from contextlib import ExitStack
from contextvars import ContextVar
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class OneThread(ASGIHandler):
    """See the module. All our views and middleware are plain functions."""

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)

    async def handle(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        with ExitStack() as stack:
            token = _opened.set(stack)
            try:
                await super().handle(scope, receive, send)
            finally:
                _opened.reset(token)

    async def read_body(self, receive: Any) -> IO[bytes]:
        """As Django's, whose file stays open when the body is refused or the answer breaks off."""
        body = _opened.get().enter_context(
            SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE)  # noqa: SIM115 (the stack closes it)
        )
        is_complete = False
        while not is_complete:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestAborted
            body.write(message.get("body", b""))
            is_complete = not message.get("more_body", False)
        body.seek(0)
        return body


# What the request that is handled has opened.
_opened: ContextVar[ExitStack] = ContextVar("dgxsite_request_files")
