"""A chat server that answers without an end costs a bounded process, and is told in plain words."""

import gzip
import socket
import sys
import time
from collections.abc import Callable

import pytest

from notifications.channels import apprise_child, apprise_door
from notifications.channels.outcome import Outcome
from notifications.delivery import sender
from tests.notifications.conftest import Crew, make_channel
from tests.notifications.receivers import WebServer
from tests.notifications.test_no_scanner import event_of, speaking

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("loopback")]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ZEROS = bytes(2**20)
# A child whose plugin works for ever, and tells at which limit it ended.
_BUSY = """
from notifications.channels import apprise_child
def send(plugin, message):
    while True: pass
apprise_child.send, apprise_child.CPU_SECONDS = send, 1
apprise_child.main()
"""
_LIMITS = """
import resource
from notifications.channels import apprise_child
def send(plugin, message):
    raise PermissionError(f"{resource.getrlimit(resource.RLIMIT_AS)}")
apprise_child.send = send
apprise_child.main()
"""


def for_ever(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    def answer(guest: socket.socket) -> None:
        guest.recv(65536)
        guest.sendall(HEAD + head + b"\r\n")
        while True:
            guest.sendall(piece)

    return answer


ANSWERS = {
    "plain": for_ever(b"", ZEROS),
    "packed": for_ever(b"Content-Encoding: gzip\r\n", gzip.compress(ZEROS * 16)),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_without_an_end_ends(crew: Crew, answer: Callable[[socket.socket], None]) -> None:
    began = time.monotonic()
    with speaking(answer) as port:
        outcome = through(crew, port)
    assert outcome == Outcome.failed(apprise_door.TOO_MUCH)
    assert time.monotonic() - began < apprise_door.DEADLINE_SECONDS


def test_work_without_an_end_ends(
    crew: Crew, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apprise_door, "_CHILD", (sys.executable, "-c", _BUSY))
    assert through(crew, web.port) == Outcome.failed(apprise_door.TOO_MUCH)


def test_the_limits_stand_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise_door, "_CHILD", (sys.executable, "-c", _LIMITS))
    message = {"title": "a", "body": "b", "type": "info"}
    outcome = apprise_door._run("mmost://127.0.0.1/abcdefghijklmnopqrstuvwxyz", message)
    most = apprise_child.MEMORY_BYTES
    assert outcome.detail == f"({most}, {most})"


def test_a_message_goes_out_within_them(crew: Crew, web: WebServer) -> None:
    assert through(crew, web.port).ok
    assert len(web.requests) == 1


def through(crew: Crew, port: int) -> Outcome:
    url = f"mmost://127.0.0.1:{port}/abcdefghijklmnopqrstuvwxyz"
    return sender.through_channel(make_channel(crew.team, url, kind="apprise"), event_of(crew))
