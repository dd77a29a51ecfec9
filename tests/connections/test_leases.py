"""The fence around a keeper's writes: it keeps others out for a moment, never for good."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest
from django.db import Error, connection, transaction
from pytest_django import Settings

from connections.keeper import leases
from connections.models import Connection, Keeper
from tests.factories import make_connection
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


Fence = Callable[[Connection], AbstractContextManager[object]]


def one(row: Connection) -> AbstractContextManager[object]:
    return leases.fenced(row.pk, row.epoch)


def changing(row: Connection) -> AbstractContextManager[object]:
    return leases.fenced(row.pk, row.epoch, keeper_id=row.owner_id, changes=True)


@contextmanager
def many(row: Connection) -> Iterator[None]:
    assert row.owner_id is not None
    with transaction.atomic():
        held = leases.lock_held(row.owner_id, {row.pk: row.epoch}, [row.pk, uuid.uuid4()])
        assert held == {row.pk}
        yield


@pytest.mark.parametrize("fence", [one, changing, many])
def test_who_sleeps_inside_the_fence_does_not_keep_the_machine(
    settings: Settings, fence: Fence
) -> None:
    """As a keeper that is stopped in the middle of a write, and whose lease has ended."""
    settings.KEEPER_TTL_SECONDS = 0.5
    sleeper = Keeper.objects.create(
        id=uuid.uuid4(), name="sleeper", heartbeat_at="2000-01-01T00:00Z"
    )
    row = make_connection(is_active=True, owner=sleeper, epoch=3)
    inside, awake = threading.Event(), threading.Event()

    def sleep_inside() -> None:
        with suppress(Error), fence(row):
            inside.set()
            awake.wait(30)
        connection.close()

    thread = threading.Thread(target=sleep_inside)
    thread.start()
    try:
        assert inside.wait(10)
        keeper_id = uuid.uuid4()
        leases.renew(keeper_id, "successor", holds_local=False)
        until(lambda: leases.claim(keeper_id, holds_local=False), "it is claimed", seconds=8)
    finally:
        awake.set()
        thread.join(10)
    assert Connection.objects.get(pk=row.pk).owner_id == keeper_id


def test_who_held_the_machine_before_writes_nothing() -> None:
    row = make_connection(is_active=True)
    for name in ("first", "second"):
        Keeper.objects.update(heartbeat_at="2000-01-01T00:00Z")
        keeper_id = uuid.uuid4()
        leases.renew(keeper_id, name, holds_local=False)
        assert leases.claim(keeper_id, holds_local=False) == 1
    with leases.fenced(row.pk, row.epoch + 2):
        pass
    with pytest.raises(leases.LeaseLost), leases.fenced(row.pk, row.epoch + 1):
        pytest.fail("the first keeper is over")
    with transaction.atomic():
        assert leases.lock_held(keeper_id, {row.pk: row.epoch + 1}, [row.pk]) == set()


def test_who_gave_the_machine_back_changes_its_row_no_more() -> None:
    keeper = Keeper.objects.create(id=uuid.uuid4(), name="it", heartbeat_at="2000-01-01T00:00Z")
    row = make_connection(is_active=True, owner=keeper, epoch=1)
    with leases.fenced(row.pk, 1, keeper_id=keeper.pk, changes=True):
        pass
    leases.give_back(keeper.pk, [row.pk])
    with pytest.raises(leases.LeaseLost), leases.fenced(row.pk, 1, keeper_id=keeper.pk):
        pytest.fail("nobody holds it")
