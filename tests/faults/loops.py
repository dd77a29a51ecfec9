"""Every loop of the product that goes over rows of several owners, with one bad row in it.

A trial makes three rows that are alike, spoils the second, runs the loop, and answers which rows
were done. `WHERE` is the module of the loop; whoever adds a call of `isolation.each` adds a trial.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import connection
from django.utils import timezone

from accounts.audit import denials
from accounts.models import AuditEvent, Refusal
from alerts import absence, plan, trash
from alerts import notify as alerts_notify
from alerts.models import Alert, AlertRule, AlertState
from connections import notify as connections_telling
from connections import purge
from connections.models import Connection, ConnectionEvent, Status
from core.security import key_rotation
from exports import claiming, cron, schedules
from exports import retention as exports_retention
from exports.models import Export, ExportSchedule
from jobs import retention, watchdog
from jobs.keeper import unreachable
from jobs.keeper import usage as keeper_usage
from jobs.log import store as log_store
from jobs.models import GpuWish, Job, JobMeasure, JobScalars
from jobs.models import Status as JobStatus
from jobs.queue import gpu_alerts
from jobs.results import ingest as results_ingest
from metrics.collectors.readings import Network
from metrics.history import retention as metrics_retention
from metrics.history import rollup, rollup_queue, tiers
from metrics.history.buffer import Unsaved, WindowBuffer
from metrics.history.window import reading_of
from metrics.live import store as samples
from metrics.live.persist import persist
from metrics.live.sessions import Sessions
from notifications.delivery import sender
from notifications.events import notify
from notifications.models import Channel, Delivery, DeliveryStatus, Event
from tests import factories
from tests.alerts.conftest import Scene, make_rule
from tests.exports.rows import machine_key
from tests.faults.poison import poison
from tests.jobs.rows import make_job
from tests.metrics.machines import (
    MOMENT,
    held_machine,
    holdings_of,
    make_keeper,
    make_sample,
)
from tests.metrics.stored import ends, machine_of, steady, store
from tests.notifications.conftest import make_channel
from tests.usage.people import moments, process, sample
from usage import noting
from usage.notes import note_of

# Which of the three rows were done.
Done = Sequence[bool]

NOW = timezone.now()
LONG_AGO = NOW - timedelta(days=1000)
RUNNING = (JobStatus.STARTING, JobStatus.RUNNING)


@dataclass(frozen=True)
class Outcome:
    """Which of the rows were done, and the name of the bad one as the log should have it."""

    done: Done
    bad: object


Trial = Callable[[], Outcome]
TRIALS: dict[str, Trial] = {}


def trial(where: str) -> Callable[[Trial], Trial]:
    """`where`: module and function of the loop."""

    def note(run: Trial) -> Trial:
        assert where not in TRIALS
        TRIALS[where] = run
        return run

    return note


def three_jobs(*steps: JobStatus, **fields: Any) -> list[Job]:
    """Queued, then moved through these states; `fields` are as they are in the end."""
    jobs = [make_job() for _ in range(3)]
    for job in jobs:
        for step in steps:
            job.move(step, "test")
        Job.objects.filter(pk=job.pk).update(**fields)
        job.refresh_from_db()
    return jobs


def three_machines(**fields: Any) -> list[Connection]:
    return [factories.make_connection(**fields) for _ in range(3)]


def gone(rows: Sequence[Any]) -> Done:
    """Which rows are no longer there."""
    keys = [row.pk for row in rows]
    left = set(type(rows[0])._base_manager.filter(pk__in=keys).values_list("pk", flat=True))
    return [key not in left for key in keys]


# --- Jobs ------------------------------------------------------------------------------------


@trial("jobs.keeper.unreachable.mark_unseen")
def _() -> Outcome:
    jobs = three_jobs(*RUNNING, started_at=LONG_AGO, granted=[])
    Job.objects.update(updated_at=LONG_AGO)
    poison("jobs_job", jobs[1].pk)
    unreachable.mark_unseen()
    states = dict(Job.objects.values_list("pk", "status"))
    return Outcome([states[job.pk] == JobStatus.UNKNOWN for job in jobs], jobs[1].pk)


@trial("jobs.keeper.unreachable._say_why_jobs_wait")
def _() -> Outcome:
    jobs = three_jobs()
    poison("jobs_job", jobs[1].pk)
    unreachable.mark_unseen()
    reasons = dict(Job.objects.values_list("pk", "waiting_reason"))
    return Outcome([bool(reasons[job.pk]) for job in jobs], jobs[1].pk)


def jobs_with_logs(**fields: Any) -> list[Job]:
    jobs = three_jobs(*RUNNING, started_at=LONG_AGO, granted=["0"], **fields)
    for job in jobs:
        log_store.append(job, b"loss=1\n", LONG_AGO)
    return jobs


@trial("jobs.results.ingest.catch_up_all")
def _() -> Outcome:
    jobs = jobs_with_logs()
    poison("jobs_jobscalars", jobs[1].pk, "job_id")
    results_ingest.catch_up_all()
    read = set(JobScalars.objects.filter(offset__gt=0).values_list("job_id", flat=True))
    return Outcome([job.pk in read for job in jobs], jobs[1].pk)


@trial("jobs.keeper.usage.measure_held_jobs")
def _() -> Outcome:
    jobs = three_jobs(*RUNNING, started_at=NOW, granted=["0"])
    poison("jobs_jobmeasure", jobs[1].pk, "job_id")
    keeper_usage.measure_held_jobs([job.connection_id for job in jobs], NOW)
    measured = set(JobMeasure.objects.values_list("job_id", flat=True))
    return Outcome([job.pk in measured for job in jobs], jobs[1].pk)


@trial("jobs.watchdog.look")
def _() -> Outcome:
    jobs = jobs_with_logs()
    poison("notifications_event", jobs[1].pk, "object_id")
    watchdog.look(NOW)
    told = set(Event.objects.filter(kind="job_stuck").values_list("object_id", flat=True))
    return Outcome([str(job.pk) in told for job in jobs], jobs[1].pk)


@trial("jobs.retention.forget")
def _() -> Outcome:
    jobs = three_jobs(JobStatus.STOPPED, deleted_at=LONG_AGO)
    poison("jobs_job", jobs[1].pk, on="DELETE")
    retention.forget()
    return Outcome(gone(jobs), jobs[1].pk)


@trial("jobs.retention._forget_logs")
def _() -> Outcome:
    jobs = jobs_with_logs()
    Job.objects.update(status=JobStatus.STOPPED, completed_at=LONG_AGO)
    poison("jobs_logchunk", jobs[1].pk, "job_id", on="DELETE")
    retention.forget()
    return Outcome([not job.chunks.exists() for job in jobs], jobs[1].pk)


def three_wishes(machines: Sequence[Connection]) -> list[GpuWish]:
    person = factories.make_user(is_superuser=True)
    return [GpuWish.objects.create(user=person, connection=row, gpu=None) for row in machines]


def free_gpus(rules: Any) -> Any:
    from jobs.queue.devices import Device

    return [Device(key="0", label="GPU 0", use=None, is_slice=False, is_split=False)]


@trial("jobs.queue.gpu_alerts.notify_waiting")
def _() -> Outcome:
    machine = factories.make_connection()
    people = [factories.make_user(is_superuser=True) for _ in range(3)]
    made = [GpuWish.objects.create(user=one, connection=machine) for one in people]
    poison("jobs_gpuwish", made[1].pk, on="DELETE")
    gpu_alerts.notify_waiting(machine.pk, free_gpus)
    return Outcome(gone(made), made[1].pk)


@trial("core.security.key_rotation.rotate_rows")
def _() -> Outcome:
    jobs = [make_job(environment={"WORD": "x"}) for _ in range(3)]
    before = {job.pk: job.environment_encrypted for job in jobs}
    poison("jobs_job", jobs[1].pk)
    found = key_rotation.rotate_rows(key_rotation.sources()[Job])
    assert (found.count, list(found.lines())) == (2, [f"jobs.job {jobs[1].pk} not written"])
    after = dict(Job.objects.values_list("pk", "environment_encrypted"))
    return Outcome([after[job.pk] != before[job.pk] for job in jobs], jobs[1].pk)


# --- Machines --------------------------------------------------------------------------------


@trial("connections.notify.of_absence")
def _() -> Outcome:
    machines = three_machines(is_active=True, status=Status.CONNECTING, reason="unreachable")
    for row in machines:
        ConnectionEvent.objects.create(
            connection=row,
            at=LONG_AGO,
            from_status=Status.CONNECTED,
            to_status=Status.CONNECTING,
            actor="dgxsite",
        )
    poison("notifications_event", machines[1].pk, "object_id")
    connections_telling.of_absence(NOW)
    told = set(Event.objects.filter(kind="unreachable").values_list("object_id", flat=True))
    return Outcome([str(row.pk) in told for row in machines], machines[1].pk)


@trial("connections.purge.empty_trash")
def _() -> Outcome:
    machines = three_machines(deleted_at=LONG_AGO)
    poison("connections_connection", machines[1].pk, on="DELETE")
    purge.empty_trash(NOW)
    return Outcome(gone(machines), machines[1].pk)


@trial("core.security.key_rotation.rotate_all of machines")
def _() -> Outcome:
    machines = three_machines()
    for row in machines:
        row.set_secret("password", "x")
        row.save()
    before = {row.pk: row.password_encrypted for row in machines}
    poison("connections_connection", machines[1].pk)
    key_rotation.rotate_all()
    after = dict(Connection.objects.values_list("pk", "password_encrypted"))
    return Outcome([after[row.pk] != before[row.pk] for row in machines], machines[1].pk)


# --- Alerts ----------------------------------------------------------------------------------


@trial("alerts.absence.watch")
def _() -> Outcome:
    team = factories.make_team()
    rule = make_rule(team, metric="not_seen_seconds", comparison=">", threshold=300)
    fields = {"is_active": True, "retry_now_at": LONG_AGO}
    machines = [factories.make_connection(team, **fields) for _ in range(3)]
    poison("alerts_alert", machines[1].pk, "connection_id")
    absence.watch(NOW)
    fired = set(Alert.objects.filter(rule=rule).values_list("connection_id", flat=True))
    assert len(fired) == 2
    return Outcome([row.pk in fired for row in machines], "a change was refused")


@trial("alerts.watch.Watch.judge")
def _() -> Outcome:
    scene = Scene(factories.make_team(), make_keeper())
    make_rule(scene.team)
    machines = [scene.machine() for _ in range(3)]
    poison("alerts_alert", machines[1].pk, "connection_id")
    for machine in machines:
        scene.watch.note(_link_to(machine), scene.sample(99.0))
    scene.watch.judge(scene.keeper.pk, scene.holdings())
    fired = set(Alert.objects.values_list("connection_id", flat=True))
    return Outcome([row.pk in fired for row in machines], "a change was refused")


@trial("alerts.watch.Watch._evaluate")
def _() -> Outcome:
    scene = Scene(factories.make_team(), make_keeper())
    make_rule(scene.team)
    machines = [scene.machine() for _ in range(3)]
    for machine in machines:
        scene.watch.note(_link_to(machine), scene.sample(99.0))
    scene.watch.note(_link_to(machines[1]), "no sample")  # type: ignore[arg-type]
    scene.watch.judge(scene.keeper.pk, scene.holdings())
    fired = set(Alert.objects.values_list("connection_id", flat=True))
    return Outcome([row.pk in fired for row in machines], machines[1].pk)


@trial("alerts.plan._read")
def _() -> Outcome:
    machine = factories.make_connection()
    rules = [make_rule(machine.team, name=f"rule {number}") for number in range(3)]
    AlertRule.objects.filter(pk=rules[1].pk).update(metric="nonsense")
    found = {one.id for one in plan.refreshed(plan.Plan(), [machine.pk]).rules[machine.pk]}
    return Outcome([rule.pk in found for rule in rules], rules[1].pk)


@trial("alerts.notify.again")
def _() -> Outcome:
    machine = factories.make_connection()
    rules = [make_rule(machine.team, name=f"rule {number}") for number in range(3)]
    alerts = [
        Alert.objects.create(
            rule=rule,
            team=rule.team,
            connection=machine,
            state=AlertState.FIRING,
            started_at=LONG_AGO,
            seen_at=LONG_AGO,
        )
        for rule in rules
    ]
    poison("notifications_event", alerts[1].pk, "object_id")
    alerts_notify.again(NOW)
    told = set(Alert.objects.filter(told__gt=0).values_list("pk", flat=True))
    return Outcome([alert.pk in told for alert in alerts], rules[1].pk)


@trial("alerts.trash.empty")
def _() -> Outcome:
    team = factories.make_team()
    rules = [make_rule(team, name=f"rule {number}", deleted_at=LONG_AGO) for number in range(3)]
    poison("alerts_alertrule", rules[1].pk, on="DELETE")
    trash.empty(NOW)
    return Outcome(gone(rules), rules[1].pk)


def _link_to(machine: Connection) -> Any:
    from tests.alerts.conftest import link_to

    return link_to(machine)


# --- Exports, deliveries, refusals -------------------------------------------------------------


def three_schedules(**fields: Any) -> list[ExportSchedule]:
    person = factories.make_user(is_superuser=True)
    rows = []
    for _ in range(3):
        row = ExportSchedule(
            connection=factories.make_connection(),
            kind="range",
            range="24h",
            format="csv",
            next_run_at=LONG_AGO,
            created_by=person,
            **fields,
        )
        row.periodic_task = schedules._periodic_task(row, cron.fields("daily"))
        row.save(force_insert=True)
        rows.append(row)
    return rows


@trial("exports.schedules.queue_due")
def _() -> Outcome:
    rows = three_schedules()
    poison("exports_export", rows[1].pk, "schedule_id")
    schedules.queue_due(NOW)
    made = set(Export.objects.values_list("schedule_id", flat=True))
    return Outcome([row.pk in made for row in rows], rows[1].pk)


def three_exports(**fields: Any) -> list[Export]:
    person = factories.make_user(is_superuser=True)
    machines = three_machines()
    values = {"kind": "range", "range": "24h", "format": "csv", "requested_by": person} | fields
    return [Export.objects.create(connection=row, **values) for row in machines]


@trial("exports.claiming.claim")
def _() -> Outcome:
    rows = three_exports()
    poison("exports_export", rows[1].pk)
    tried, claimed = set[UUID](), set[UUID]()
    while (row := claiming.claim(tried, lambda row, error: None)) is not None:
        claimed.add(row.pk)
    return Outcome([row.pk in claimed for row in rows], rows[1].pk)


@trial("exports.retention._empty_trash")
def _() -> Outcome:
    rows = three_exports(state="failed", finished_at=LONG_AGO, deleted_at=LONG_AGO)
    poison("exports_export", rows[1].pk, on="DELETE")
    exports_retention.tidy(NOW)
    return Outcome(gone(rows), rows[1].pk)


@trial("exports.retention._expire")
def _() -> Outcome:
    [schedule, *_] = three_schedules(keep_count=0)
    rows = [
        Export.objects.create(
            connection=schedule.connection,
            schedule=schedule,
            due_at=LONG_AGO + timedelta(hours=number),
            kind="range",
            range="24h",
            format="csv",
            filename=f"{number}.csv",
            state="done",
            finished_at=LONG_AGO,
            local_ok=True,
        )
        for number in range(3)
    ]
    poison("exports_export", rows[1].pk)
    exports_retention.tidy(NOW)
    expired = dict(Export.objects.values_list("pk", "expired_at"))
    return Outcome([expired[row.pk] is not None for row in rows], rows[1].pk)


@trial("notifications.delivery.sender.run")
def _() -> Outcome:
    channels = [make_channel(factories.make_team(), "http://10.255.255.1:9/") for _ in range(3)]
    for channel in channels:
        Channel.objects.filter(pk=channel.pk).update(url_encrypted="not a secret of ours")
        notify(channel.team, "unreachable", "spark is out of reach")
    rows = [Delivery.objects.get(channel=channel) for channel in channels]
    poison("notifications_attempt", rows[1].pk, "delivery_id")
    sender.run()
    states = dict(Delivery.objects.values_list("pk", "status"))
    return Outcome([states[row.pk] == DeliveryStatus.FAILED for row in rows], rows[1].pk)


@trial("core.security.key_rotation.rotate_all of channels")
def _() -> Outcome:
    rows = [make_channel(factories.make_team(), "https://hook.example.org/") for _ in range(3)]
    before = {row.pk: row.url_encrypted for row in rows}
    poison("notifications_channel", rows[1].pk)
    key_rotation.rotate_all()
    after = dict(Channel.objects.values_list("pk", "url_encrypted"))
    return Outcome([after[row.pk] != before[row.pk] for row in rows], rows[1].pk)


@trial("accounts.audit.denials.write_down")
def _() -> Outcome:
    minute = (NOW - timedelta(hours=1)).replace(second=0, microsecond=0)
    rows = [
        Refusal.objects.create(minute=minute, action=f"access.{number}", caller="x")
        for number in range(3)
    ]
    poison("accounts_auditevent", rows[1].action, "action")
    denials.write_down(NOW)
    written = set(AuditEvent.objects.values_list("action", flat=True))
    return Outcome([row.action in written for row in rows], rows[1].pk)


# --- Numbers ---------------------------------------------------------------------------------


@trial("metrics.live.sessions.Sessions.due")
def _() -> Outcome:
    machines = [held_machine(make_keeper()) for _ in range(3)]
    carried = Sessions()
    for machine, count in zip(machines, (1, 2**70, 1), strict=True):
        link = _link_to(machine)
        carried.note(machine.pk, link, make_sample(networks=(Network("eth0", count),)))
    found = carried.due([machine.pk for machine in machines])
    return Outcome([machine.pk in found for machine in machines], machines[1].pk)


@trial("metrics.live.persist.persist")
def _() -> Outcome:
    keeper = make_keeper()
    machines = [held_machine(keeper) for _ in range(3)]
    keys = [machine_key(machine) for machine in machines]
    tiers.ensure_days([MOMENT.date()])
    windows = Unsaved()
    for machine in machines:
        windows.add(machine.pk, reading_of(make_sample(MOMENT)))
    poison("metrics_raw_machine", keys[1], "machine")
    persist(keeper.pk, holdings_of(*machines), MOMENT + timedelta(minutes=1), windows=windows)
    return Outcome(_written("metrics_raw_machine", keys), machines[1].pk)


@trial("usage.noting.save")
def _() -> Outcome:
    keeper = make_keeper()
    machines = [held_machine(keeper) for _ in range(3)]
    keys = [machine_key(machine) for machine in machines]
    minutes = noting.make_minutes()
    for machine in machines:
        for at in moments():
            minutes.add(machine.pk, note_of(sample(at, process("ml"))))
    poison("usage_minute", keys[1], "machine")
    after = MOMENT + timedelta(minutes=3)
    noting.save(keeper.pk, holdings_of(*machines), after, minutes)
    return Outcome(_written("usage_minute", keys), machines[1].pk)


@trial("metrics.history.saver.Saver._adopt")
def _() -> Outcome:
    keeper = make_keeper()
    machines = [held_machine(keeper) for _ in range(3)]
    keys = [machine_key(machine) for machine in machines]
    for machine in machines:
        body = orjson.dumps(sample(MOMENT, process("ml")).as_dict())
        samples._redis().lpush(f"dgx:recent:{machine.pk}", body)
    samples._redis().lpush(f"dgx:recent:{machines[1].pk}", b"{no json")
    minutes = noting.make_minutes()
    noting.save(keeper.pk, holdings_of(*machines), MOMENT + timedelta(minutes=3), minutes)
    return Outcome(_written("usage_minute", keys), machines[1].pk)


@trial("metrics.history.buffer.WindowBuffer._close")
def _() -> Outcome:
    machines = three_machines()

    def add_up(end: Any, readings: Any) -> Any:
        if any(one.gpus for one in readings):
            raise ZeroDivisionError
        return steady(end, 1.0)

    windows: Any = WindowBuffer(20.0, add_up)
    for number, machine in enumerate(machines):
        windows.add(machine.pk, reading_of(make_sample(MOMENT, gpus=int(number == 1))))
    ended = windows.ended(MOMENT + timedelta(minutes=1), [row.pk for row in machines])
    found = {key for key, _ in ended}
    return Outcome([row.pk in found for row in machines], machines[1].pk)


def three_with_hours() -> list[int]:
    stored = [machine_of(row) for row in three_machines()]
    for one in stored:
        store(one, [steady(at, 1.0) for at in ends(MOMENT, 10)])
    return [one.pk for one in stored]


@trial("metrics.history.rollup._batch")
def _() -> Outcome:
    keys = three_with_hours()
    poison("metrics_hourly_machine", keys[1], "machine")
    rollup.roll_up(MOMENT + timedelta(days=2))
    assert not rollup_queue.of_machine(tiers.HOURLY, keys[1], LONG_AGO, MOMENT + timedelta(days=1))
    return Outcome(_written("metrics_hourly_machine", keys), keys[1])


@trial("metrics.history.retention._clean_up")
def _() -> Outcome:
    keys = three_with_hours()
    Connection.objects.all().delete()
    poison("metrics_raw_machine", keys[1], "machine", on="DELETE")
    metrics_retention.clean_up(MOMENT + timedelta(hours=1))
    return Outcome([not there for there in _written("metrics_raw_machine", keys)], keys[1])


def _written(table: str, keys: Sequence[int]) -> Done:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT machine FROM {table}")
        found = {machine for (machine,) in cursor.fetchall()}
    return [key in found for key in keys]
