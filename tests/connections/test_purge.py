"""What has been in the trash for 30 days goes for good, and the audit trail says so."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEvent
from connections import purge
from connections.models import Connection, ConnectionEvent, Status
from core.soft_delete import PERIOD
from tests import factories

pytestmark = pytest.mark.django_db
NOW = timezone.now()
LONG_AGO, LATELY = NOW - PERIOD - timedelta(minutes=1), NOW - PERIOD + timedelta(minutes=1)


def trashed(name: str, **fields: Any) -> Connection:
    return factories.make_connection(name=name, **({"deleted_at": LONG_AGO} | fields))


def left() -> set[str]:
    return set(Connection.objects.values_list("name", flat=True))


def test_removes_what_is_over_and_nothing_else() -> None:
    gone = trashed("gone")
    ConnectionEvent.objects.create(
        connection=gone, from_status=Status.CONNECTED, to_status=Status.DISCONNECTED, actor="x"
    )
    trashed("lately", deleted_at=LATELY)
    factories.make_connection(name="living")
    assert purge.empty_trash(NOW) == 1
    assert left() == {"lately", "living"}
    assert not ConnectionEvent.objects.exists()
    assert purge.empty_trash(NOW) == 0


def test_the_audit_names_what_was_removed() -> None:
    row = trashed("gone")
    purge.empty_trash(NOW)
    event = AuditEvent.objects.get()
    assert (event.actor_name, event.action) == ("dgxsite", "connection.purge")
    assert (event.object_id, event.object_name, event.team) == (str(row.pk), "gone", row.team)
    assert audit.verify() == (1, [])


def test_a_jump_host_waits_for_what_is_reached_through_it() -> None:
    host = trashed("host")
    trashed("behind", jump_connection=host)
    assert (purge.empty_trash(NOW), left()) == (1, {"host"})
    assert (purge.empty_trash(NOW), left()) == (1, set())


def test_a_jump_host_of_something_that_may_still_come_back_stays() -> None:
    trashed("behind", jump_connection=trashed("host"), deleted_at=LATELY)
    assert (purge.empty_trash(NOW), left()) == (0, {"host", "behind"})
