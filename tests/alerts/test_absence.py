"""Machines that nobody sees, and alerts that nothing watches any more."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from alerts import absence
from alerts.models import Alert, AlertRule
from connections.models import Connection, Status
from core.errors import Unavailable
from metrics.history.buffer import Unsaved
from metrics.live.store import Recorder
from notifications.models import Event
from tests.alerts.conftest import Scene, make_rule
from tests.metrics.machines import make_sample

pytestmark = pytest.mark.usefixtures("redis_client")

NOW = timezone.now()


def gone_after(scene: Scene, seconds: float, **fields: Any) -> AlertRule:
    return make_rule(
        scene.team,
        name="Gone",
        metric="not_seen_seconds",
        comparison=">",
        threshold=seconds,
        **fields,
    )


def wished(scene: Scene, *, hours: float = 24, **fields: Any) -> Connection:
    values = {"retry_now_at": NOW - timedelta(hours=hours), "owner": None}
    return scene.machine(**(values | fields))


def last_sample(machine: Connection, seconds_ago: float) -> None:
    recorder = Recorder(Unsaved())
    sample = make_sample(NOW - timedelta(seconds=seconds_ago))
    recorder.add(machine.pk, machine.team_id, 1, sample)
    recorder.flush({machine.pk: 1})


def states() -> list[str]:
    return list(Alert.objects.order_by("started_at").values_list("state", flat=True))


def test_fires_when_the_last_sample_is_too_old(scene: Scene) -> None:
    gone_after(scene, 300)
    machine = wished(scene, name="Spark 1", status=Status.CONNECTING, reason="unreachable")
    last_sample(machine, 299)
    absence.watch(NOW)
    assert states() == []
    absence.watch(NOW + timedelta(seconds=2))
    assert states() == ["firing"]
    [event] = Event.objects.filter(kind="alert_firing")
    assert event.title == "Spark 1: not seen for 5\u00a0min 1\u00a0s"
    assert event.severity == "critical"


def test_is_over_when_the_machine_is_back(scene: Scene) -> None:
    gone_after(scene, 300)
    machine = wished(scene, status=Status.CONNECTING, reason="unreachable")
    last_sample(machine, 400)
    absence.watch(NOW)
    Connection.objects.update(owner=scene.keeper, status=Status.CONNECTED, reason="")
    scene.keeper.heartbeat_at = NOW
    scene.keeper.save()
    absence.watch(NOW + timedelta(seconds=2))
    assert states() == ["resolved"]
    assert Event.objects.filter(kind="alert_resolved").count() == 1


def test_a_machine_whose_keeper_died_is_not_seen_whatever_its_row_says(scene: Scene) -> None:
    gone_after(scene, 60)
    machine = wished(scene, owner=scene.keeper, status=Status.CONNECTED)
    last_sample(machine, 100)
    scene.keeper.heartbeat_at = NOW - timedelta(seconds=100)
    scene.keeper.save()
    absence.watch(NOW)
    assert states() == ["firing"]


def test_a_new_wish_gives_the_machine_its_time(scene: Scene) -> None:
    gone_after(scene, 300)
    machine = wished(scene, hours=0.01)
    last_sample(machine, 7 * 24 * 3600)
    absence.watch(NOW)
    assert states() == []


def test_asking_to_connect_again_ends_no_alert(scene: Scene) -> None:
    gone_after(scene, 300)
    machine = wished(scene)
    last_sample(machine, 400)
    absence.watch(NOW)
    Connection.objects.update(retry_now_at=NOW)
    absence.watch(NOW + timedelta(seconds=2))
    assert states() == ["firing"]


def test_one_that_never_answered_counts_from_the_wish(scene: Scene) -> None:
    gone_after(scene, 300)
    wished(scene, hours=1)
    absence.watch(NOW)
    assert states() == ["firing"]


def test_only_wished_machines_of_the_rule_are_missed(scene: Scene) -> None:
    gone_after(scene, 300, tag="lab")
    wished(scene, tags=["lab"], is_active=False)
    wished(scene, tags=["other"])
    wished(scene, tags=["lab"], deleted_at=NOW)
    absence.watch(NOW)
    assert states() == []


def test_a_hold_time_counts_from_the_breach(scene: Scene) -> None:
    gone_after(scene, 300, for_seconds=10)
    wished(scene)
    for second in range(0, 14, 2):
        absence.watch(NOW + timedelta(seconds=second))
        assert states() == (["firing"] if second >= 10 else ["pending"])
    alert = Alert.objects.get()
    assert alert.fired_at == NOW + timedelta(seconds=10)


def test_without_redis_nothing_changes(scene: Scene, settings: Any) -> None:
    gone_after(scene, 300)
    wished(scene)
    settings.REDIS_SAMPLES_URL = "redis://127.0.0.1:1/2"
    with pytest.raises(Unavailable):
        absence.watch(NOW)
    assert states() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda machine, rule: Connection.objects.update(is_active=False),
        lambda machine, rule: Connection.objects.update(deleted_at=NOW),
        lambda machine, rule: AlertRule.objects.update(enabled=False),
        lambda machine, rule: AlertRule.objects.update(deleted_at=NOW),
        lambda machine, rule: AlertRule.objects.update(tag="other"),
    ],
    ids=["disconnected", "machine deleted", "rule off", "rule deleted", "tag"],
)
def test_what_nothing_watches_any_more_ends_without_a_word(scene: Scene, change: Any) -> None:
    rule = make_rule(scene.team)
    make_rule(scene.team, for_seconds=60)
    machine = scene.machine()
    scene.read(machine, scene.sample(90))
    assert sorted(states()) == ["firing", "pending"]
    change(machine, rule)
    absence.watch(timezone.now())
    assert states() == ["resolved"]
    assert not Event.objects.filter(kind="alert_resolved").exists()


def test_costs_two_queries_where_nobody_asks(scene: Scene, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        absence.watch(NOW)
