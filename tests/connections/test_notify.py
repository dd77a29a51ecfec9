"""What a team is told of its machines, and how often."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Role
from connections import notify
from connections.models import Connection, ConnectionEvent, Status
from notifications.models import Event, Notification
from tests.factories import join, make_connection, make_team, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def machine() -> Connection:
    team = make_team()
    join(make_user(), team, Role.OPERATOR)
    return make_connection(
        team=team, is_active=True, status=Status.CONNECTING, reason="unreachable"
    )


def lose(machine: Connection, minutes_ago: int) -> None:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    ConnectionEvent.objects.create(
        connection=machine, at=at, from_status="connected", to_status="connecting", actor="dgxsite"
    )


def kinds() -> list[str]:
    return list(Event.objects.order_by("created_at").values_list("kind", flat=True))


def test_a_changed_key_is_told_at_once_to_each_member(machine: Connection) -> None:
    notify.of_change(machine, "error", "host_key_changed", "Another key.")
    assert kinds() == ["host_key_changed"]
    assert Notification.objects.count() == 1


def test_a_refused_login_is_told_when_it_stops_trying(machine: Connection) -> None:
    notify.of_change(machine, "connecting", "auth_failed", "Refused.")
    assert kinds() == []
    notify.of_change(machine, "error", "auth_failed", "Refused.")
    assert kinds() == ["auth_failed"]


def test_a_short_absence_is_no_news(machine: Connection) -> None:
    lose(machine, minutes_ago=4)
    assert notify.of_absence(timezone.now()) == 0


def test_a_long_absence_is_told_once_and_so_is_the_return(machine: Connection) -> None:
    lose(machine, minutes_ago=6)
    assert notify.of_absence(timezone.now()) == 1
    assert notify.of_absence(timezone.now()) == 0
    notify.of_change(machine, "connected", "", "")
    notify.of_change(machine, "connected", "", "")
    assert kinds() == ["unreachable", "recovered"]


def test_a_return_from_a_short_absence_is_no_news(machine: Connection) -> None:
    lose(machine, minutes_ago=1)
    notify.of_change(machine, "connected", "", "")
    assert kinds() == []


def test_a_machine_that_never_was_there_is_not_missed(machine: Connection) -> None:
    assert notify.of_absence(timezone.now() + timedelta(days=1)) == 0


def test_nobody_is_told_of_a_machine_that_nobody_wishes(machine: Connection) -> None:
    lose(machine, minutes_ago=6)
    Connection.objects.update(is_active=False)
    assert notify.of_absence(timezone.now()) == 0
