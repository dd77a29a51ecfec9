"""The whole way: eight GPUs behind a real SSH server, a real keeper, and the clock on the wall."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from alerts import absence
from alerts.models import Alert, AlertState
from connections.keeper.keeper import Keeper
from connections.models import Connection
from notifications.models import Event
from tests import sshd
from tests.alerts.conftest import make_rule
from tests.collectors.machine import make_machine
from tests.connections.conftest import quick  # noqa: F401 (a fixture)
from tests.e2e.conftest import site  # noqa: F401 (a fixture)
from tests.e2e.test_captures import watch
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

HOLD = timedelta(seconds=2)
# From the end of the hold time to the notification.
IN_TIME = timedelta(seconds=4)


def test_fires_within_four_seconds_of_the_hold_time_and_ends(site: Keeper, tmp_path: Path) -> None:  # noqa: F811
    tools = make_machine(tmp_path)
    tools.play("nvidia-smi-xml/h100x8-580.xml")
    path = f"{tools.bin}:{os.environ['PATH']}"
    server = sshd.start(tmp_path / "sshd", environment={"PATH": path})
    try:
        row = watch(server)
        make_rule(row.team, threshold=0, for_seconds=HOLD.total_seconds())
        site.wake()
        until(lambda: Alert.objects.filter(state=AlertState.FIRING).count() == 8, seconds=40)
        event = Event.objects.get(kind="alert_firing")
        for alert in Alert.objects.all():
            assert alert.started_at + HOLD <= event.created_at
            assert event.created_at <= alert.started_at + HOLD + IN_TIME
        # Nobody wishes the machine any more: what fires on it is no longer watched.
        row.wish(active=False)
        site.wake()
        until(lambda: Connection.objects.get(pk=row.pk).status == "disconnected", seconds=20)
    finally:
        server.stop()
    absence.close_unwatched()
    assert set(Alert.objects.values_list("state", flat=True)) == {AlertState.RESOLVED}
    assert Event.objects.count() == 1
