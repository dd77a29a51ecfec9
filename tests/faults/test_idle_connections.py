"""Whoever holds a connection to the web process and does nothing with it loses it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import redis

from dgxsite.http import protocol as http_protocol
from tests import factories
from tests.faults import SCALE
from tests.faults.conftest import StartSite
from tests.faults.site import Site

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

HEAD_SECONDS = max(2.0, http_protocol.HEAD_SECONDS * SCALE)
KEEP_ALIVE_SECONDS = 5.0
# A loaded machine looks late.
LATE_SECONDS = 20.0
_HALF = b"GET /version HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
_WHOLE = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
_SOCKET = (
    b"GET /ws/live/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Authorization: Bearer %s\r\n\r\n"
)


@pytest.fixture
def site(start_site: StartSite, redis_client: redis.Redis) -> Site:
    site = start_site()
    site.web()
    return site


@contextmanager
def connected(site: Site) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as link:
        yield link


def seconds_until_closed(link: socket.socket) -> float:
    """Reads what comes until the other side has ended it."""
    began = time.monotonic()
    try:
        while link.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - began


def test_a_connection_that_says_nothing_is_closed(site: Site) -> None:
    with connected(site) as link:
        took = seconds_until_closed(link)
    assert HEAD_SECONDS - 0.5 <= took <= HEAD_SECONDS + LATE_SECONDS


def test_half_a_head_is_closed_though_bytes_keep_coming(site: Site) -> None:
    with connected(site) as link:
        link.sendall(_HALF)
        is_over = threading.Event()

        def drip() -> None:
            while not is_over.wait(0.2):
                try:
                    link.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        took = seconds_until_closed(link)
        is_over.set()
        thread.join()
    assert took <= HEAD_SECONDS + LATE_SECONDS


def test_half_a_second_head_is_closed_too(site: Site) -> None:
    with connected(site) as link:
        link.sendall(_WHOLE)
        assert link.recv(9) == b"HTTP/1.1 "
        link.sendall(_HALF)
        assert seconds_until_closed(link) <= HEAD_SECONDS + LATE_SECONDS


def test_an_idle_connection_is_closed_after_its_answer(site: Site) -> None:
    with connected(site) as link:
        link.sendall(_WHOLE)
        assert link.recv(9) == b"HTTP/1.1 "
        assert seconds_until_closed(link) <= KEEP_ALIVE_SECONDS + LATE_SECONDS


def test_an_open_socket_is_no_half_request(site: Site) -> None:
    person, team = factories.make_user(), factories.make_team()
    factories.join(person, team)
    with connected(site) as link:
        link.sendall(_SOCKET % factories.make_token(person).encode())
        assert link.recv(12) == b"HTTP/1.1 101"
        until_then = time.monotonic() + HEAD_SECONDS + 2
        while (left := until_then - time.monotonic()) > 0:
            link.settimeout(left)
            with suppress(TimeoutError):
                assert link.recv(65536), "an open socket was closed"
