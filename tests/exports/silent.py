"""A machine that takes connections and says nothing, until it is let go of."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from connections.models import AuthMethod, Connection


class Silent:
    """Its guests wait until `let_go`; later ones are hung up on at once."""

    def __init__(self, listener: socket.socket) -> None:
        self.taken = 0
        self._listener = listener
        self._guests: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_over = False

    def serve(self) -> None:
        while True:
            try:
                guest, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.taken += 1
                self._guests.append(guest)
                if self._is_over:
                    guest.close()

    def let_go(self) -> None:
        with self._lock:
            self._is_over = True
            for guest in self._guests:
                guest.close()


@contextmanager
def behind(*machines: Connection) -> Iterator[Silent]:
    """Let these rows lead to one that is silent, for the length of the block."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        for machine in machines:
            machine.hostname, machine.port = listener.getsockname()
            machine.auth_method, machine.host_key = AuthMethod.PASSWORD, "SHA256:none"
            machine.set_secret("password", "unused")
            machine.save()
        silent = Silent(listener)
        thread = threading.Thread(target=silent.serve, daemon=True)
        thread.start()
        try:
            yield silent
        finally:
            silent.let_go()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
