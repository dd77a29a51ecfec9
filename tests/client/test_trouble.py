"""A site that breaks off, sends elsewhere, or is not there."""

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.client.conftest import Command


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


PROJECTS = b'{"items": [{"id": "1", "name": "p"}], "count": 1}'


def test_a_post_that_broke_off_is_sent_again_with_its_key(command: Command, fickle: Fickle) -> None:
    fickle.answers = [
        (200, {}, PROJECTS),
        (0, {}, b""),
        (503, {}, b"{}"),
        (201, {}, b'{"id": "7"}'),
    ]
    done = command("run", "-p", "p", "true")
    assert (done.returncode, done.stdout) == (0, "7\n")
    posts = [key for method, _, key in fickle.heard if method == "POST"]
    assert len(posts) == 3
    assert len(set(posts)) == 1
    assert posts[0]


def test_a_token_follows_no_redirect(command: Command, fickle: Fickle) -> None:
    fickle.answers = [(302, {"Location": f"{fickle.url}/elsewhere"}, b"")]
    done = command("ps")
    assert (done.returncode, len(fickle.heard)) == (1, 1)
    assert "302" in done.stderr


@pytest.mark.parametrize("body", [b"<html>", b'"text"', b'{"errors": 5}'])
def test_what_is_no_problem_is_one_sentence(command: Command, fickle: Fickle, body: bytes) -> None:
    fickle.answers = [(403, {}, body)]
    done = command("ps")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "dgx_secret" not in done.stderr


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://gpu.example.org", "use https"),
        ("ftp://gpu.example.org", "not the address"),
        ("https://user@gpu.example.org", "not the address"),
        ("", "DGXSITE_URL"),
    ],
)
def test_an_address_that_will_not_do(command: Command, url: str, words: str) -> None:
    done = command("ps", DGXSITE_URL=url, DGXSITE_TOKEN="dgx_secret")
    assert (done.returncode, words in done.stderr) == (2, True)


def test_without_a_token_it_says_how_to_get_one(command: Command) -> None:
    done = command("ps", DGXSITE_URL="http://localhost:1")
    assert (done.returncode, "dgxsite login" in done.stderr) == (2, True)
