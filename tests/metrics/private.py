"""Servers of a test's own, to be killed, frozen and started again."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
from django.db import connection

from dgxsite.up import children, servers
from tests.waiting import until


class PrivateServer:
    """One server in a directory of its own."""

    def __init__(self, directory: Path, make: Callable[[Path], servers.Server]) -> None:
        self.directory = directory
        self._make = make
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Call this on the main thread: the kernel ends the server with the thread that made it."""
        server = self._make(self.directory)
        self._child = children.start(
            server.argv, death_signal=signal.SIGKILL, output=subprocess.DEVNULL
        )
        until(server.is_ready, seconds=30)

    def send(self, number: signal.Signals) -> None:
        """To the server's whole process group."""
        assert self._child is not None
        os.killpg(self._child.pid, number)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._child is not None:
            self.send(signal.SIGCONT)
            self.send(number)
            self._child.wait(30)
            self._child = None


@contextmanager
def private_server(make: Callable[[Path], servers.Server]) -> Iterator[PrivateServer]:
    # Not under pytest's own directory: a socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="dgx-private-") as directory:
        server = PrivateServer(Path(directory), make)
        server.start()
        try:
            yield server
        finally:
            server.kill()


def private_redis() -> AbstractContextManager[PrivateServer]:
    return private_server(servers.redis_server)


def psycopg_address() -> str:
    """The test database, for a connection beside Django's."""
    parts = connection.get_connection_params()
    return psycopg.conninfo.make_conninfo(
        **{name: parts[name] for name in ("dbname", "user", "host", "port") if name in parts}
    )
