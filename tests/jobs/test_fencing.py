"""The fence around a keeper's writes: it keeps others out for a moment, never for good."""

import threading
import uuid
from contextlib import suppress

import pytest
from django.db import Error, connection
from pytest_django import Settings

from connections.keeper import leases
from connections.models import Connection, Keeper
from jobs.keeper import fencing
from tests.factories import make_connection
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_sleeps_inside_the_fence_does_not_keep_the_machine(settings: Settings) -> None:
    """As a keeper that is stopped in the middle of a write, and whose lease has ended."""
    settings.KEEPER_TTL_SECONDS = 0.5
    row = make_connection(is_active=True)
    inside, awake = threading.Event(), threading.Event()

    def sleep_inside() -> None:
        with suppress(Error), fencing.held(row.pk, row.epoch):
            inside.set()
            awake.wait(30)
        connection.close()

    sleeper = threading.Thread(target=sleep_inside)
    sleeper.start()
    try:
        assert inside.wait(10)
        keeper_id = uuid.uuid4()
        leases.renew(keeper_id, "successor", holds_local=False)
        until(lambda: leases.claim(keeper_id, holds_local=False), "it is claimed", seconds=8)
    finally:
        awake.set()
        sleeper.join(10)
    assert Connection.objects.get(pk=row.pk).owner_id == keeper_id


def test_who_held_the_machine_before_writes_nothing() -> None:
    row = make_connection(is_active=True)
    for name in ("first", "second"):
        Keeper.objects.update(heartbeat_at="2000-01-01T00:00Z")
        keeper_id = uuid.uuid4()
        leases.renew(keeper_id, name, holds_local=False)
        assert leases.claim(keeper_id, holds_local=False) == 1
    with fencing.held(row.pk, row.epoch + 2):
        pass
    with pytest.raises(fencing.LeaseLost), fencing.held(row.pk, row.epoch + 1):
        pytest.fail("the first keeper is over")
