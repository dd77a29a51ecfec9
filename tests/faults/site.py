"""The site's own programs as processes that a trial may stop, freeze and kill."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from dgxsite.up import children, programs, servers
from tests.faults import SCALE
from tests.sshd import free_port
from tests.waiting import until

_CELERY = (sys.executable, "-m", "celery", "--quiet", "--skip-checks", "-A", "dgxsite")
_KEEPER = ("worker", "-P", "threads", "-c", "4", "-Q", "tick", *programs.WORKER_OPTIONS)
_WORKER = ("worker", "-P", "threads", "-c", "2", "-Q", "celery", *programs.WORKER_OPTIONS)
_LOG_TAIL_BYTES = 4000
# Until somebody gives up; no promise: a loaded machine takes its time to start a program.
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Program:
    """A running process; it leads a process group of its own."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def signal(self, number: signal.Signals) -> None:
        """Send it to the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """As `kill -9`; returns when it is gone."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def leftovers(self) -> list[int]:
        """Processes of its session that are still there."""
        return [pid for pid in psutil.pids() if _session_of(pid) == self.process.pid]


@dataclass(frozen=True)
class Answer:
    """What the web process said; `seconds` is how long it took."""

    status: int
    body: Any
    seconds: float


class Site:
    """Programs over one database and one Redis."""

    def __init__(
        self,
        directory: Path,
        database_url: str,
        redis_url: str,
        scale: float = SCALE,
        keeper_prefix: Sequence[str] = (),
    ) -> None:
        """`keeper_prefix` goes before a keeper's program."""
        self.database_url = database_url
        self.redis_url = redis_url
        self._scale = scale
        self._directory = directory
        self._keeper_prefix = tuple(keeper_prefix)
        self._running: list[Program] = []
        self._database: psycopg.Connection[tuple[Any, ...]] | None = None
        self._port = 0

    def keeper(self, name: str = "keeper", fail_at: str = "") -> Program:
        """Start a keeper: a worker that hears the tick and nothing else; it dies at `fail_at`."""
        argv = (*self._keeper_prefix, *_CELERY, *_KEEPER, "-n", f"{name}@%h")
        return self._start(name, argv, {"DGX_FAIL_AT": fail_at})

    def worker(self) -> Program:
        """Start a worker for the short tasks."""
        return self._start("worker", (*_CELERY, *_WORKER, "-n", "worker@%h"))

    def keeper_and_worker(self) -> Program:
        """Start both in one process, as `manage.py up` does."""
        return self._start("both", programs.keeper().argv)

    def beat(self) -> Program:
        """Start the clock."""
        return self._start("beat", programs.beat().argv)

    def web(self) -> Program:
        """Start pages and API, and wait until they answer."""
        self._port = free_port()
        program = programs.web("127.0.0.1", self._port)
        running = self._start("web", program.argv, program.environment)
        until(self._answers, "the web process answers", seconds=_START_SECONDS)
        return running

    @property
    def port(self) -> int:
        """Where the web process listens."""
        return self._port

    def ask(self, method: str, path: str, token: str, body: Any = None, key: str = "") -> Answer:
        """One request to the web process; raises OSError if it does not answer at all.

        Requests with the same `key` are one wish.
        """
        started = time.monotonic()
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        text = json.dumps(body) if body else None
        status, content = self._request(method, path, token, text, headers)
        said = json.loads(content) if content else None
        return Answer(status, said, time.monotonic() - started)

    def download(self, path: str, token: str) -> bytes | None:
        """What the web process sends as a file; None while it cannot."""
        try:
            status, content = self._request("GET", path, token, None, {})
        except OSError:
            return None
        assert status in {200, 503}, content
        return content if status == 200 else None

    def _request(
        self, method: str, path: str, token: str, text: str | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
        with contextlib.closing(connection):
            sent = {"Authorization": f"Bearer {token}", **headers}
            connection.request(method, path, text, sent)
            response = connection.getresponse()
            return response.status, response.read()

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the site's database; the connection to it is kept while it lives."""
        for _ in range(2):
            if self._database is None or self._database.closed:
                self._database = psycopg.connect(
                    self.database_url, connect_timeout=30, autocommit=True
                )
            with contextlib.suppress(psycopg.OperationalError):  # it died since the last time
                return self._database.execute(statement, values).fetchall()
            self._database.close()
        raise psycopg.OperationalError(f"not answered: {statement}")

    def kill(self) -> None:
        """Kill all programs, also those that sleep."""
        for program in self._running:
            program.signal(signal.SIGCONT)
            program.kill()
        if self._database is not None:
            self._database.close()

    def close(self) -> None:
        """Kill everything and print the last lines of each log, for pytest to show."""
        self.kill()
        for program in self._running:
            text = program.log.read_text(errors="replace")[-_LOG_TAIL_BYTES:]
            print(f"--- {program.name}\n{text}")

    def _start(
        self, name: str, argv: tuple[str, ...], environment: Mapping[str, str] | None = None
    ) -> Program:
        variables = os.environ | {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "DGX_TIME_SCALE": str(self._scale),
            "DGX_ALLOW_LOOPBACK": "1",
            "DJANGO_SETTINGS_MODULE": "dgxsite.settings",
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
            **(environment or {}),
        }
        path = self._directory / f"{name}-{len(self._running)}.log"
        with path.open("wb") as log:
            process = children.start(argv, death_signal=signal.SIGKILL, env=variables, output=log)
        self._running.append(Program(name, process, path))
        return self._running[-1]

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "/api/health", "").status in {200, 503}
        except OSError:
            return False


class Server:
    """A PostgreSQL or Redis of the trial's own, to be killed and started again in its place."""

    def __init__(self, server: servers.Server, log: Path) -> None:
        self._server = server
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and wait until it answers; the Unix time at which it did."""
        with self._log.open("ab") as log:
            self._process = children.start(
                self._server.argv, death_signal=self._server.stop_signal, output=log
            )
        until(self.is_ready, f"{self._server.name} answers", seconds=_START_SECONDS)
        return time.time()

    def is_ready(self) -> bool:
        return self._server.is_ready()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal and wait for nothing."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, how: signal.Signals) -> float:
        """End it with this signal; the Unix time at which that was asked."""
        assert self._process is not None
        asked = time.time()
        self._process.send_signal(how)
        self._process.wait(_START_SECONDS)
        return asked

    def close(self) -> None:
        if self._process is not None:
            children.stop(self._process, signal.SIGQUIT, 5)


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
