"""The command `dgxsite` as a program of its own, against a running site."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from accounts.models import Scope
from tests.factories import make_token, make_user

CLIENT = Path(__file__).resolve().parents[2] / "client"

# The keeper and the machine of the jobs' own tests.
from tests.jobs.conftest import (  # noqa: E402, F401 (fixtures)
    host,
    machine_row,
    quick,
    start_keeper,
    submit,
    submit_on,
)

Done = subprocess.CompletedProcess[str]


@dataclass
class Command:
    """Runs `dgxsite` with a home folder of its own."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        return subprocess.run(
            self.line(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            env=self.all_of(environment),
            timeout=100,
            check=False,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.line(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.all_of({}),
        )

    def line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "dgxsite_client", *arguments]

    def all_of(self, environment: dict[str, str]) -> dict[str, str]:
        every = {"PATH": os.environ["PATH"], "HOME": str(self.home), "PYTHONPATH": str(CLIENT)}
        return every | self.environment | environment


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Without a site."""
    person = tmp_path / "person"
    person.mkdir()
    return Command(person)


@pytest.fixture
def dgxsite(command: Command, live_server: LiveServer) -> Command:
    """Logged in as a superuser."""
    token = make_token(make_user(is_superuser=True), Scope.ADMIN)
    command.environment = {"DGXSITE_URL": live_server.url, "DGXSITE_TOKEN": token}
    return command


@dataclass
class Fickle:
    """A server whose answers are listed; it writes down what it was sent."""

    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    heard: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def fickle(command: Command) -> Iterator[Fickle]:
    state = Fickle()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            state.heard.append((self.command, self.path, self.headers.get("Idempotency-Key")))
            status, headers, body = state.answers.pop(0)
            if not status:
                return  # breaks off without a word
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 (the name that http.server calls)

        def log_message(self, *args: object) -> None:
            """In silence."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    command.environment = {"DGXSITE_URL": state.url, "DGXSITE_TOKEN": "dgx_secret"}
    yield state
    server.shutdown()
    server.server_close()
