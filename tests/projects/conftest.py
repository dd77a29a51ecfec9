"""A team around a machine that is a real OpenSSH server with a home folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from connections.models import Connection
from tests import sshd
from tests.api.conftest import World, _no_limits_left_over, world

__all__ = ["_no_limits_left_over", "world"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def server(tmp_path: Path, home: Path) -> Iterator[sshd.Sshd]:
    running = sshd.start(tmp_path / "sshd", options={"Subsystem": f"sftp internal-sftp -d {home}"})
    yield running
    running.stop()


@pytest.fixture
def machine(world: World, server: sshd.Sshd, settings: Settings) -> Connection:
    """The team's machine, reached at the server."""
    settings.ALLOW_LOOPBACK = True
    row = world.machine
    row.hostname, row.port, row.username = "127.0.0.1", server.port, server.user
    row.host_key, row.auth_method = server.host_key_fingerprint, "key"
    row.set_secret("private_key", server.client_key)
    row.save()
    return row
