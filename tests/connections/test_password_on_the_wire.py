"""What a server really gets to see of a stored password, after its machine was led elsewhere."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import paramiko
import pytest
from paramiko.common import AUTH_FAILED
from paramiko.server import InteractiveQuery

from accounts.models import Role
from accounts.policy import Caller
from connections import services, ssh
from connections.models import Connection
from connections.ssh import targets
from core.errors import Invalid
from tests import factories


class Listener(paramiko.ServerInterface):
    """An SSH server that lets nobody in and notes each password, also one typed at a prompt."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.heard: list[str] = []
        self.key = paramiko.ECDSAKey.generate()
        self.fingerprint = ssh.fingerprint(self.key.asbytes())
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def get_allowed_auths(self, username: str) -> str:
        return self.way

    def check_auth_password(self, username: str, password: str) -> int:
        if self.way == "password":
            self.heard.append(password)
        return AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> Any:
        if self.way != "keyboard-interactive":
            return AUTH_FAILED
        return InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        self.heard += responses
        return AUTH_FAILED

    def _accept(self) -> None:
        while True:
            try:
                transport = paramiko.Transport(self.socket.accept()[0])
                transport.add_server_key(self.key)
                transport.start_server(server=self, event=threading.Event())
            except OSError:
                return


@pytest.fixture(params=["password", "keyboard-interactive"])
def places(request: pytest.FixtureRequest) -> Iterator[tuple[Listener, Listener]]:
    """The machine a password is given for, and the one of somebody else."""
    pair = Listener(request.param), Listener(request.param)
    yield pair
    for listener in pair:
        listener.socket.shutdown(socket.SHUT_RDWR)
        listener.socket.close()


def log_in(row: Connection) -> None:
    with pytest.raises(ssh.ConnectError):
        ssh.open_session(targets.target_of(Connection.objects.get(pk=row.pk))).close()


@pytest.mark.django_db
def test_a_password_reaches_the_machine_it_was_given_for_alone(
    places: tuple[Listener, Listener], settings: Any
) -> None:
    settings.ALLOW_LOOPBACK = True
    mine, theirs = places
    team, user = factories.make_team(), factories.make_user()
    factories.join(user, team, Role.ADMINISTRATOR)
    caller = Caller(user)
    given = {"hostname": "127.0.0.1", "port": mine.port, "username": "ml", "password": "s3cret"}
    row = services.create(caller, given | {"name": "spark", "auth_method": "password"})
    log_in(row)
    assert mine.heard == [], "its host key is not accepted yet"
    services.accept_host_key(caller, row.pk, mine.fingerprint)
    log_in(row)
    assert mine.heard == ["s3cret"]

    with pytest.raises(Invalid):
        services.change(caller, row.pk, {"port": theirs.port, "host_key": theirs.fingerprint})
    Connection.objects.filter(pk=row.pk).update(port=theirs.port, host_key=theirs.fingerprint)
    log_in(row)
    Connection.objects.filter(pk=row.pk).update(host_key="")
    with pytest.raises(Invalid):
        services.accept_host_key(caller, row.pk, theirs.fingerprint)
    log_in(row)
    assert theirs.heard == []
    services.change(
        caller, row.pk, {"host_key": theirs.fingerprint, "password": "what the changer typed"}
    )
    log_in(row)
    assert (theirs.heard, mine.heard) == (["what the changer typed"], ["s3cret"])
