"""A machine behind a real sshd that the site can log in to, and what its keeper has read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connections.models import Connection
from tests import sshd


@contextmanager
def serving(directory: Path, machine: Connection, **options: str) -> Iterator[Path]:
    """The home folder behind `machine`, for the length of the block."""
    home = directory / "home"
    home.mkdir(parents=True)
    subsystem = {"Subsystem": f"sftp internal-sftp -d {home}"}
    server = sshd.start(directory / "sshd", options=subsystem | options)
    try:
        point(machine, server)
        yield home
    finally:
        server.stop()


def point(machine: Connection, server: sshd.Sshd) -> None:
    """Let the row lead to this server."""
    machine.hostname, machine.port = "127.0.0.1", server.port
    machine.username, machine.host_key = server.user, server.host_key_fingerprint
    machine.set_secret("private_key", server.client_key)
    machine.save()
