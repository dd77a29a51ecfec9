"""A channel tells nothing of a port without a web server: equal words, after equal time."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from notifications import services
from notifications.channels import apprise_door, no_answer, webhooks
from notifications.delivery import sender
from notifications.events import notify
from notifications.models import Attempt, Event
from tests.notifications.conftest import Crew, make_channel
from tests.notifications.receivers import WebServer
from tests.sshd import free_port

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("loopback")]

SECONDS = 1.0


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "DEADLINE_SECONDS", SECONDS)


@contextmanager
def speaking(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port on which each guest gets this answer and is then hung up on."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    guest, _ = server.accept()
                except OSError:
                    return
                with guest:
                    try:
                        answer(guest)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@contextmanager
def closed() -> Iterator[int]:
    yield free_port()


@contextmanager
def filtered() -> Iterator[int]:
    """As behind a firewall that drops: the queue of this listener is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port
        for filler in fillers:
            filler.close()


def say(words: bytes) -> Callable[[], Any]:
    return lambda: speaking(lambda guest: guest.sendall(words))


def reset(guest: socket.socket) -> None:
    guest.recv(10)
    guest.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def drip(guest: socket.socket) -> None:
    for _ in range(100):
        guest.sendall(b"H")
        time.sleep(0.1)


PORTS: dict[str, Callable[[], Any]] = {
    "closed": closed,
    "filtered": filtered,
    "silent": lambda: speaking(lambda guest: time.sleep(2 * SECONDS)),
    "hangs up": lambda: speaking(lambda guest: None),
    "resets": lambda: speaking(reset),
    "drips": lambda: speaking(drip),
    "ssh": say(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "mail": say(b"220 mail.example.org ESMTP\r\n"),
    "zeros": say(bytes(100_000)),
    "half an answer": say(b"HTTP/1.1 2"),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_ports_without_a_web_server_are_told_alike(crew: Crew, scheme: str) -> None:
    told: dict[str, tuple[str, bool]] = {}
    took: dict[str, float] = {}
    for name, port_of in PORTS.items():
        with port_of() as port:
            channel = make_channel(crew.team, f"{scheme}://127.0.0.1:{port}/")
            began = time.monotonic()
            outcome = sender.through_channel(channel, event_of(crew))
            took[name] = time.monotonic() - began
            told[name] = (outcome.detail, outcome.is_final)
    assert set(told.values()) == {(no_answer.DETAIL, False)}, told
    assert all(seconds >= SECONDS for seconds in took.values()), took
    assert max(took.values()) - min(took.values()) < 0.5, took


def test_broken_tls_is_told_alike(crew: Crew, web: WebServer, tmp_path: Path) -> None:
    with self_signed(tmp_path) as port:
        channels = [
            make_channel(crew.team, f"https://127.0.0.1:{port}/"),  # a certificate of nobody's
            make_channel(crew.team, f"http://127.0.0.1:{port}/"),  # plain words to TLS
            make_channel(crew.team, web.url(scheme="https")),  # TLS to plain words
        ]
        outcomes = [sender.through_channel(channel, event_of(crew)) for channel in channels]
    assert {one.detail for one in outcomes} == {no_answer.DETAIL}


def test_the_log_of_tries_tells_no_more_than_the_test(crew: Crew) -> None:
    with closed() as shut, PORTS["ssh"]() as other:
        make_channel(crew.team, f"http://127.0.0.1:{shut}/")
        make_channel(crew.team, f"http://127.0.0.1:{other}/")
        assert notify(crew.team, "unreachable", "spark is out of reach") is not None
        sender.run()
    first, second = Attempt.objects.all()
    assert first.detail == second.detail == no_answer.DETAIL
    assert abs(first.duration_ms - second.duration_ms) < 500


def test_a_web_servers_status_is_told(crew: Crew, web: WebServer) -> None:
    web.answer = lambda number: 404
    outcome = sender.through_channel(make_channel(crew.team, web.url()), event_of(crew))
    assert outcome.detail == "The receiver answered 404."


def test_chat_services_tell_no_more(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise_door, "EVEN_SECONDS", 8.0)
    details, took = set(), []
    for name in ("closed", "ssh", "hangs up"):
        with PORTS[name]() as port:
            url = f"mmost://127.0.0.1:{port}/abcdefghijklmnopqrstuvwxyz"
            channel = make_channel(crew.team, url, kind="apprise")
            began = time.monotonic()
            details.add(sender.through_channel(channel, event_of(crew)).detail)
            took.append(time.monotonic() - began)
    assert details == {no_answer.DETAIL}
    assert max(took) - min(took) < 2


def test_tests_are_counted(crew: Crew, web: WebServer, client: Client) -> None:
    channel = make_channel(crew.team, web.url())
    client.force_login(crew.boss)
    path = f"/api/v1/notification-channels/{channel.pk}/test"
    answers = [client.post(path) for _ in range(services.TESTS_PER_MINUTE + 5)]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert int(answers[-1].headers["Retry-After"]) > 0


def event_of(crew: Crew) -> Event:
    return Event(team=crew.team, kind="test", severity="info", title="A test")


@contextmanager
def self_signed(directory: Path) -> Iterator[int]:
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    wish = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=me"
    command = ["openssl", *wish.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def answer(guest: socket.socket) -> None:
        with context.wrap_socket(guest, server_side=True) as secured:
            secured.recv(100)

    with speaking(answer) as port:
        yield port
