"""An event as a signed POST.

The host is judged and pinned for each try, the connection goes to exactly that address, redirects
are not followed, and the whole exchange has one deadline, also when the receiver answers byte by
byte. Only the status of the answer is read.
"""

import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from urllib.parse import SplitResult, quote, urlsplit

import orjson
from django.conf import settings

from core.security import address_policy
from core.web.waiting import outside_database
from notifications.channels import letters, no_answer
from notifications.channels.outcome import Outcome
from notifications.models import Channel, Event

DEADLINE_SECONDS = 10.0
MAX_BODY_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}
# A status below 500 will not change by itself, except these: too slow, too early, too often.
_WORTH_A_RETRY = frozenset({408, 425, 429})


def parse(url: str) -> SplitResult:
    """The address of a webhook in parts; `ValueError` with a sentence for a person."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("A webhook's address begins with http:// or https:// and a host.")
    if parts.username is not None or parts.password is not None:
        raise ValueError("Leave user name and password out of the address.")
    if not parts.hostname.isascii() or any(ord(character) <= 32 for character in url):
        raise ValueError("Write the host in ASCII and leave out spaces.")
    if parts.port == 0:  # also raises ValueError for what is no port
        raise ValueError("Port 0 cannot be called.")
    return parts


def port_of(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


def send(channel: Channel, event: Event) -> Outcome:
    """One try; see the module."""
    parts = parse(channel.secret("url") or "")
    body = orjson.dumps(letters.payload(event))
    assert len(body) <= MAX_BODY_BYTES
    headers = signed(str(event.pk), body, channel.secret("secret") or "", int(time.time()))
    try:
        address = address_policy.pin(parts.hostname or "", port_of(parts))
    except address_policy.RefusedAddress as error:
        return Outcome.refused(error.detail)
    except address_policy.Unresolvable as error:
        return Outcome.failed(error.detail)
    deadline = time.monotonic() + DEADLINE_SECONDS
    try:
        return judge(post(parts, address, body, headers, deadline))
    except (OSError, http.client.HTTPException) as error:
        return no_answer.outcome(f"channel={channel.pk} {type(error).__name__}: {error}", deadline)


def judge(status: int) -> Outcome:
    """What an answer's status means for the delivery."""
    answered = f"The receiver answered {status}."
    if 200 <= status < 300:
        return Outcome.delivered(answered)
    if 300 <= status < 400:
        return Outcome.refused(f"{answered} Redirects are not followed.")
    if status < 500 and status not in _WORTH_A_RETRY:
        return Outcome.refused(answered)
    return Outcome.failed(answered)


def signed(event_id: str, body: bytes, secret: str, timestamp: int) -> dict[str, str]:
    """The headers of a request; without a secret there is no signature."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"dgxsite/{settings.VERSION}",
        "X-DGX-Event-Id": event_id,
        "X-DGX-Timestamp": str(timestamp),
        "Connection": "close",
    }
    if secret:
        message = f"{timestamp}.".encode() + body
        digest = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        headers["X-DGX-Signature"] = f"sha256={digest}"
    return headers


@outside_database()
def post(
    parts: SplitResult, address: str, body: bytes, headers: dict[str, str], deadline: float
) -> int:
    """The status of the answer. Raises `OSError`, of which `TimeoutError`, and `HTTPException`."""
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    patience = max(0.1, deadline - time.monotonic())
    sock = socket.create_connection((address, port_of(parts)), timeout=patience)
    with contextlib.closing(connection), _ending(sock, deadline) as is_over:
        try:
            connection.sock = _secured(sock, parts)
            connection.request("POST", _path(parts), body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            if is_over.is_set():
                raise TimeoutError from None
            raise


def _secured(sock: socket.socket, parts: SplitResult) -> socket.socket:
    if parts.scheme == "http":
        return sock
    return ssl.create_default_context().wrap_socket(sock, server_hostname=parts.hostname)


def _path(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return f"{path}?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else path


@contextlib.contextmanager
def _ending(sock: socket.socket, deadline: float) -> Iterator[threading.Event]:
    """Cut the connection at the deadline, whatever the other thread waits for."""
    is_over = threading.Event()
    # A duplicate stays valid when TLS takes the socket over.
    handle = sock.dup()

    def cut() -> None:
        is_over.set()
        with contextlib.suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()
        timer.join()
        handle.close()
        sock.close()
