"""Real servers that notifications arrive at: a mail server and a web server, both on loopback."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Letter:
    """What a client handed over: envelope and message."""

    recipients: list[str]
    message: Message


@dataclass
class MailServer:
    """A mail server that takes everything; `refusal` is its answer to every recipient if set."""

    letters: list[Letter] = field(default_factory=list)
    refusal: str = ""
    port: int = 0


@contextmanager
def mail_server() -> Iterator[MailServer]:
    mailbox = MailServer()

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            recipients: list[str] = []
            self._say("220 test")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    self._say("354 go on")
                    mailbox.letters.append(Letter(recipients, message_from_bytes(self._data())))
                    self._say("250 taken")
                elif word == b"RCPT":
                    recipients.append(line.decode().partition("<")[2].partition(">")[0])
                    self._say(mailbox.refusal or "250 yes")
                elif word == b"QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 fine")

        def _say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def _data(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            return b"".join(lines)

    with _serving(socketserver.ThreadingTCPServer, Talk) as mailbox.port:
        yield mailbox


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebServer:
    """Answers with what `answer` says to each request; by default with 200."""

    requests: list[Request] = field(default_factory=list)
    answer: Callable[[int], int] = lambda number: 200
    port: int = 0
    # Clear it, and answers wait for it.
    may_answer: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    location: str = ""

    def url(self, path: str = "/hook", scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"


@contextmanager
def web_server() -> Iterator[WebServer]:
    site = WebServer()
    site.may_answer.set()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            site.requests.append(Request(self.path, dict(self.headers.items()), body))
            status = site.answer(len(site.requests))
            site.arrived.release()
            site.may_answer.wait(30)
            self.send_response(status)
            if site.location:
                self.send_header("Location", site.location)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            """The test looks at the requests itself."""

    with _serving(ThreadingHTTPServer, Answer) as site.port:
        try:
            yield site
        finally:
            site.may_answer.set()


@contextmanager
def _serving(
    kind: type[socketserver.TCPServer],
    handler: type[socketserver.BaseRequestHandler],
) -> Iterator[int]:
    class Quiet(kind):  # type: ignore[misc, valid-type]
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that was killed is part of some tests."""

    with Quiet(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join(5)
