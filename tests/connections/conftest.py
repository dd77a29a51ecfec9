"""A keeper of the test's own, and machines for it."""

import threading
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from connections.keeper import keeper as keeping
from connections.keeper.link import Link
from connections.models import Connection


@pytest.fixture
def quick(settings: Settings) -> None:
    """All waits of a keeper at a tenth, the lease at a quarter so that a busy processor does not
    end it; connections to loopback allowed.
    """
    settings.TIME_SCALE = 0.1
    settings.SAMPLE_SECONDS = 0.2
    settings.PERSIST_SECONDS = 2.0
    settings.KEEPER_TTL_SECONDS = 2.0
    settings.RECONNECT_SECONDS = (0.1, 3.0)
    settings.ALLOW_LOOPBACK = True


@pytest.fixture
def start_keeper(quick: None, transactional_db: None) -> Iterator[Callable[..., keeping.Keeper]]:
    """Starts keepers in this process; they end with the test.

    Their machines show life as a collector would, unless `alive` is false.
    """
    running: list[keeping.Keeper] = []

    def start(*, holds_local: bool = False, alive: bool = True) -> keeping.Keeper:
        if alive and show_life not in keeping.on_connected:
            keeping.on_connected.register(show_life)
        running.append(keeping.Keeper(holds_local=holds_local))
        running[-1].start()
        return running[-1]

    with keeping.on_connected.only():
        yield start
        for one in running:
            one.stop()


def show_life(link: Link) -> None:
    """Progress ten times a second for as long as the session lives."""

    def go_on() -> None:
        while not link.closed.wait(0.1):
            if link.session is not None and not link.session.is_active:
                link.fail("unreachable", "The link broke.")
                return
            link.progress()

    threading.Thread(target=go_on, daemon=True).start()


def state(connection: Connection) -> tuple[str, str]:
    """Status and reason as they stand in the database."""
    row = Connection.objects.get(pk=connection.pk)
    return row.status, row.reason
