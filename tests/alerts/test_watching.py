"""From samples to rows and notifications: a keeper, its successor, a database that is away."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from alerts import estimates, notify, transitions
from alerts.models import Alert, AlertRule
from alerts.watch import Watch
from metrics.collectors.readings import Memory
from notifications.models import Channel, Delivery, Event, Notification
from tests.alerts.conftest import Crew, Scene, link_to, make_rule
from tests.metrics.machines import make_gpu, make_keeper

GIB = 2**30


def states() -> list[str]:
    return list(Alert.objects.order_by("started_at", "gpu").values_list("state", flat=True))


def events(kind: str = "alert_firing") -> list[Event]:
    return list(Event.objects.filter(kind=kind).order_by("created_at"))


def test_a_breach_pends_fires_and_is_over(scene: Scene) -> None:
    make_rule(scene.team, for_seconds=4)
    machine = scene.machine(name="Spark 1")
    scene.read(machine, scene.sample(85))
    assert states() == ["pending"]
    scene.read(machine, scene.sample(85))
    scene.read(machine, scene.sample(86))
    alert = Alert.objects.get()
    assert (alert.state, alert.value, alert.gpu) == ("firing", 86.0, 0)
    assert alert.fired_at is not None
    assert alert.fired_at - alert.started_at == timedelta(seconds=4)
    assert [event.title for event in events()] == ["Spark 1, GPU 0: GPU temperature is 86\u00a0°C"]
    assert events("alert_resolved") == []
    scene.read(machine, scene.sample(70))
    alert.refresh_from_db()
    assert (alert.state, alert.resolved_at) == ("resolved", scene.at - timedelta(seconds=2))
    assert len(events("alert_resolved")) == 1


def test_a_recovery_within_the_hold_time_leaves_nothing(scene: Scene) -> None:
    make_rule(scene.team, for_seconds=10)
    machine = scene.machine()
    scene.read(machine, scene.sample(85))
    scene.read(machine, scene.sample(70))
    assert not Alert.objects.exists()
    assert not Event.objects.exists()


def test_each_gpu_is_judged_by_itself_and_told_together(scene: Scene, crew: Crew) -> None:
    make_rule(scene.team)
    machine = scene.machine(name="big")
    heats = (70.0, 85.0, None, 90.0)
    gpus = tuple(make_gpu(index, temperature_c=heat) for index, heat in enumerate(heats))
    scene.read(machine, scene.sample(gpus=gpus))
    assert list(Alert.objects.order_by("gpu").values_list("gpu", "value")) == [(1, 85.0), (3, 90.0)]
    [event] = events()
    assert event.title == "Too hot: 2 places"
    assert "big, GPU 1: GPU temperature is 85" in event.body
    told = Notification.objects.filter(event=event).values_list("user", flat=True)
    assert set(told) == {crew.boss.pk, crew.operator.pk, crew.viewer.pk}


def test_a_rule_for_one_gpu_leaves_the_others_alone(scene: Scene) -> None:
    make_rule(scene.team, gpu=1)
    gpus = tuple(make_gpu(index, temperature_c=90.0) for index in range(3))
    scene.read(scene.machine(), scene.sample(gpus=gpus))
    assert list(Alert.objects.values_list("gpu", flat=True)) == [1]


@pytest.mark.parametrize(
    ("fields", "fires"),
    [({}, True), ({"tag": "lab"}, True), ({"tag": "other"}, False), ({"enabled": False}, False)],
)
def test_rules_are_about_the_machines_they_name(
    scene: Scene, fields: dict[str, Any], fires: bool
) -> None:
    make_rule(scene.team, **fields)
    scene.read(scene.machine(tags=["lab"]), scene.sample(90))
    assert Alert.objects.exists() == fires


def test_a_rule_of_another_machine_or_team_is_silent(scene: Scene, crew: Crew) -> None:
    other = scene.machine()
    make_rule(scene.team, connection=other)
    make_rule(crew.stranger.teams.get())
    scene.read(scene.machine(), scene.sample(90))
    assert not Alert.objects.exists()


def test_a_power_fault_needs_both_conditions(scene: Scene) -> None:
    make_rule(
        scene.team,
        metric="gpu_sm_clock_mhz",
        comparison="<",
        threshold=1400,
        and_metric="gpu_percent",
        and_comparison=">",
        and_threshold=80,
    )
    machine = scene.machine()
    idle = make_gpu(sm_clock_mhz=600.0, utilization_percent=3.0)
    scene.read(machine, scene.sample(gpus=(idle,)))
    assert not Alert.objects.exists()
    faulty = make_gpu(sm_clock_mhz=850.0, utilization_percent=97.0)
    scene.read(machine, scene.sample(gpus=(faulty,)))
    assert states() == ["firing"]


def test_a_rule_for_the_machine_may_lean_on_its_gpus(scene: Scene) -> None:
    make_rule(
        scene.team,
        metric="cpu_percent",
        comparison=">",
        threshold=20,
        and_metric="gpu_temperature_c",
        and_comparison=">",
        and_threshold=80,
    )
    gpus = tuple(make_gpu(index, temperature_c=79.0 + index) for index in range(3))
    scene.read(scene.machine(), scene.sample(gpus=gpus))
    assert list(Alert.objects.values_list("gpu", "value")) == [(2, 25.0)]


def test_two_samples_of_one_judgement_are_both_looked_at(scene: Scene) -> None:
    make_rule(scene.team, for_seconds=2)
    machine = scene.machine()
    scene.read(machine, scene.sample(85))
    calm = scene.sample(70)
    scene.at += timedelta(seconds=2)
    scene.read(machine, calm, scene.sample(85))
    assert states() == ["pending"]


def test_a_changed_rule_counts_at_the_next_judgement(scene: Scene) -> None:
    rule = make_rule(scene.team)
    machine = scene.machine()
    scene.read(machine, scene.sample(79))
    assert not Alert.objects.exists()
    rule.threshold, rule.revision = 75, 2
    rule.save()
    scene.read(machine, scene.sample(79))
    assert states() == ["firing"]


def test_a_machine_that_gets_a_tag_gets_its_rules(scene: Scene) -> None:
    make_rule(scene.team, tag="lab")
    machine = scene.machine()
    scene.read(machine, scene.sample(90))
    machine.tags = ["lab"]
    machine.save()
    scene.read(machine, scene.sample(90))
    assert states() == ["firing"]


def test_a_successor_goes_on_and_tells_nothing_twice(scene: Scene) -> None:
    make_rule(scene.team, for_seconds=6)
    make_rule(scene.team, name="At once")
    machine = scene.machine()
    scene.read(machine, scene.sample(85))
    scene.read(machine, scene.sample(85))
    assert sorted(states()) == ["firing", "pending"]
    # The keeper dies; another one claims the machine.
    scene.watch, scene.keeper = Watch(), make_keeper()
    machine.owner, machine.epoch = scene.keeper, 2
    machine.save()
    scene.at += timedelta(seconds=10)
    scene.read(machine, scene.sample(85))
    assert states() == ["firing", "firing"]
    assert len(events()) == 2
    scene.read(machine, scene.sample(60))
    assert states() == ["resolved", "resolved"]


def test_a_keeper_that_lost_the_machine_writes_nothing(scene: Scene) -> None:
    make_rule(scene.team)
    machine = scene.machine()
    machine.epoch = 7  # what the row says; the keeper believes in 1
    machine.save(update_fields=["epoch"])
    machine.epoch = 1
    link_holdings = {machine.pk: 1}
    scene.watch.note(link_to(machine), scene.sample(90))
    assert scene.watch.judge(scene.keeper.pk, link_holdings) == 0
    assert not Alert.objects.exists()


def test_changes_wait_for_a_database_that_is_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rule(scene.team)
    machine = scene.machine()
    scene.read(machine, scene.sample(60))
    with monkeypatch.context() as patch:
        patch.setattr(transitions, "write", _refuse)
        scene.read(machine, scene.sample(90))
        scene.read(machine, scene.sample(60))
        scene.read(machine, scene.sample(91))
    assert not Alert.objects.exists()
    assert scene.read(machine, scene.sample(91)) == 3
    assert states() == ["resolved", "firing"]


def _refuse(*args: object) -> int:
    raise OperationalError("away")


def test_open_alerts_learn_the_current_value(scene: Scene) -> None:
    make_rule(scene.team)
    machine = scene.machine()
    for heat in range(81, 92):
        scene.read(machine, scene.sample(float(heat)))
    alert = Alert.objects.get()
    assert alert.value is not None
    assert alert.value >= 86


def test_a_rule_goes_to_its_own_channels_only(scene: Scene) -> None:
    def channel(name: str) -> Channel:
        row = Channel(team=scene.team, name=name, kind="webhook", shown_url="https://x")
        row.set_secret("url", "https://x")
        row.save()
        return row

    mine, _ = channel("mine"), channel("other")
    make_rule(scene.team).channels.add(mine)
    machine = scene.machine()
    scene.read(machine, scene.sample(90))
    scene.read(machine, scene.sample(60))
    assert list(Delivery.objects.values_list("channel__name", flat=True)) == ["mine", "mine"]


def test_a_snoozed_rule_is_silent_until_the_snooze_ends(scene: Scene) -> None:
    now = timezone.now()
    rule = make_rule(scene.team, snoozed_until=now + timedelta(hours=1))
    scene.read(scene.machine(), scene.sample(90))
    assert states() == ["firing"]
    assert notify.again(now) == 0
    assert events() == []
    AlertRule.objects.filter(pk=rule.pk).update(snoozed_until=now - timedelta(seconds=1))
    assert notify.again(now) == 1
    assert len(events()) == 1


def test_is_told_again_until_somebody_acknowledges(scene: Scene) -> None:
    make_rule(scene.team)
    scene.read(scene.machine(), scene.sample(90))
    later = timezone.now() + notify.REPEAT + timedelta(minutes=1)
    assert notify.again(timezone.now()) == 0
    assert notify.again(later) == 1
    assert len(events()) == 2
    Alert.objects.update(acknowledged_at=later)
    assert notify.again(later + notify.REPEAT + timedelta(minutes=1)) == 0


def test_watchers_see_what_fires_and_what_is_over(
    scene: Scene, published: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    make_rule(scene.team)
    machine = scene.machine()
    with django_capture_on_commit_callbacks(execute=True):
        scene.read(machine, scene.sample(90))
    with django_capture_on_commit_callbacks(execute=True):
        scene.read(machine, scene.sample(60))
    shown = [(topic, alert["state"], alert["value"]) for topic, alert in published]
    topic = f"connection:{machine.pk}"
    assert shown == [(topic, "firing", 90.0), (topic, "resolved", 90.0)]


def test_memory_that_runs_out_is_told_in_time_and_in_words(scene: Scene) -> None:
    make_rule(
        scene.team, metric="memory_seconds_left", comparison="<", threshold=300, for_seconds=4
    )
    machine = scene.machine(name="Spark 1")
    for second in range(0, 200, 2):
        free = round((50 - 0.2 * second) * GIB)
        memory = Memory(120 * GIB, 120 * GIB - free, free, 0, 0, 0.0)
        scene.read(machine, scene.sample(memory=memory))
    [event] = events()
    assert event.title == "Spark 1: memory is running out: about 4 minutes left"
    assert event.severity == "critical"
    left = estimates.of(machine.pk)
    assert left == pytest.approx(50, rel=0.2)
    for _ in range(80):
        memory = Memory(120 * GIB, 20 * GIB, 100 * GIB, 0, 0, 0.0)
        scene.read(machine, scene.sample(memory=memory))
    assert states() == ["resolved"]


def test_the_guard_watches_unified_memory_without_a_rule(scene: Scene) -> None:
    machine = scene.machine()
    gpu = make_gpu(memory_kind="unified")
    for second in range(0, 60, 2):
        free = round((20 - 0.2 * second) * GIB)
        memory = Memory(120 * GIB, 120 * GIB - free, free, 0, 0, 0.0)
        scene.read(machine, scene.sample(gpus=(gpu,), memory=memory))
    assert estimates.of(machine.pk) == pytest.approx(42, rel=0.2)
    assert estimates.of(scene.machine().pk) is None


def test_a_row_that_nobody_follows_any_more_does_not_stand_in_the_way(scene: Scene) -> None:
    """The machine loses its tag and gets it back before a worker has noticed."""
    make_rule(scene.team, tag="lab")
    machine = scene.machine(tags=["lab"])
    scene.read(machine, scene.sample(90))
    for tags in ([], ["lab"]):
        machine.tags = tags
        machine.save()
        scene.read(machine, scene.sample(90))
    assert states() == ["resolved", "firing"]
    scene.read(machine, scene.sample(60))
    assert states() == ["resolved", "resolved"]


def test_one_change_that_is_refused_does_not_hold_up_the_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rule(scene.team)
    good, bad = scene.machine(), scene.machine()
    write = transitions.write

    def refuse(changes: Any) -> int:
        if any(one.key.connection_id == bad.pk for one in changes):
            raise IntegrityError("gone for good")
        return write(changes)

    monkeypatch.setattr(transitions, "write", refuse)
    scene.watch.note(link_to(bad), scene.sample(90))
    scene.read(good, scene.sample(90))
    assert list(Alert.objects.values_list("connection_id", flat=True)) == [good.pk]
    scene.read(good, scene.sample(60))
    assert states() == ["resolved"]


def test_what_fires_on_several_machines_at_once_is_told_once(scene: Scene) -> None:
    make_rule(scene.team)
    make_rule(scene.team, name="Later", for_seconds=60)
    machines = [scene.machine() for _ in range(3)]
    for machine in machines:
        scene.watch.note(link_to(machine), scene.sample(90))
    assert scene.read(machines[0]) == 6
    assert [event.title for event in events()] == ["Too hot: 3 places"]
    assert states().count("pending") == 3
