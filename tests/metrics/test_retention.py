"""What is kept and what goes: by the site's lines, by a machine's own, and with the machine."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from redis import Redis

from accounts.models import AuditEvent
from metrics.history import partitions, retention, rollup, tiers
from metrics.models import Machine, Retention
from tests.factories import make_connection, make_user
from tests.metrics.stored import ends, machine_of, steady, store

pytestmark = pytest.mark.django_db

NOW = datetime(2031, 5, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def machine():
    return machine_of(make_connection())


def fill(machine: Machine, days_ago: int) -> datetime:
    start = datetime(2031, 5, 20, 9, tzinfo=UTC) - days_ago * DAY
    store(machine, [steady(at, 1.0) for at in ends(start, 3)])
    return start


def days_left(machine: Machine, tier: tiers.Tier = tiers.RAW) -> list[int]:
    """How many days ago the rows that are still there were made."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT at::date FROM {tier.machine.name} WHERE machine = %s ORDER BY 1 DESC",
            [machine.pk],
        )
        return [(NOW.date() - day).days for (day,) in cursor.fetchall()]


def keep(tier: str, days: int, machine: Machine | None = None) -> None:
    Retention.objects.create(
        tier=tier, keep_days=days, connection=machine.connection if machine else None
    )


def test_without_lines_each_tier_has_its_default(machine):
    for days in (400, 401, 14, 15, 1):
        fill(machine, days)
    rollup.roll_up(NOW)
    removed = retention.clean_up(NOW)
    assert days_left(machine) == [1, 14]
    # Months go as a whole: 15 days more than asked for are kept.
    assert days_left(machine, tiers.HOURLY) == [1, 14, 15, 400, 401]
    assert days_left(machine, tiers.DAILY) == [1, 14, 15, 400, 401]
    assert "metrics_raw_machine_20310505" in removed.partitions
    assert removed.rows == 0
    assert retention.clean_up(NOW) == retention.Removed()


def test_the_sites_line_counts_for_every_machine(machine):
    for days in (1, 3, 5):
        fill(machine, days)
    keep("raw", 3)
    retention.clean_up(NOW)
    assert days_left(machine) == [1, 3]


def test_who_keeps_less_loses_rows_and_who_keeps_more_keeps_the_partition(machine):
    less, more = machine_of(make_connection()), machine_of(make_connection())
    keep("raw", 2, less)
    keep("raw", 20, more)
    for one in (machine, less, more):
        for days in (1, 4, 18):
            fill(one, days)
    removed = retention.clean_up(NOW)
    assert (days_left(less), days_left(machine), days_left(more)) == ([1], [1, 4], [1, 4, 18])
    assert removed == retention.Removed(rows=2 * 3 * 2 + 2 * 3)


def test_many_rows_go_in_several_bites(machine, monkeypatch):
    monkeypatch.setattr(retention, "_BATCH", 2)
    for days in (1, 4, 5):
        fill(machine, days)
    keep("raw", 2, machine)
    keep("raw", 30)
    assert retention.clean_up(NOW).rows == 12
    assert days_left(machine) == [1]


def test_a_machine_that_is_gone_leaves_nothing(machine):
    fill(machine, 3)
    rollup.roll_up(NOW)
    other = machine_of(make_connection())
    fill(other, 3)
    machine.connection.delete()
    # Three windows, an hour and a day, each of the machine and of its GPU.
    assert retention.clean_up(NOW).rows == 2 * (3 + 1 + 1)
    assert [days_left(machine, tier) for tier in tiers.TIERS] == [[], [], []]
    assert days_left(other) == [3]


def test_a_dry_run_tells_the_same_and_takes_nothing(machine):
    other = machine_of(make_connection())
    keep("raw", 2, other)
    for one in (machine, other):
        for days in (1, 4, 30):
            fill(one, days)
    told = retention.clean_up(NOW, dry_run=True)
    assert days_left(machine) == [1, 4, 30]
    assert Machine.objects.filter(raw_from__isnull=False).count() == 0
    done = retention.clean_up(NOW)
    assert told.partitions == done.partitions
    # Rows in partitions that go are counted among the partitions.
    assert told.rows >= done.rows > 0


def test_the_mark_says_what_is_gone_and_never_goes_back(machine):
    retention.clean_up(NOW)
    machine.refresh_from_db()
    assert machine.raw_from == datetime(2031, 5, 6, tzinfo=UTC)
    keep("raw", 300)
    retention.clean_up(NOW + DAY)
    machine.refresh_from_db()
    assert machine.raw_from == datetime(2031, 5, 6, tzinfo=UTC)
    assert retention.kept_from(tiers.RAW, machine, NOW) == machine.raw_from


def test_one_line_per_tier_and_machine():
    keep("raw", 3)
    with pytest.raises(IntegrityError), transaction.atomic():
        keep("raw", 4)
    for days in (0, 7306):
        with pytest.raises(IntegrityError), transaction.atomic():
            keep("hourly", days)


def test_the_command_computes_hours_before_their_windows_go(machine):
    start = datetime.now(UTC).replace(minute=0) - 20 * DAY
    store(machine, [steady(at, 1.0) for at in ends(start, 3)])
    said = StringIO()
    call_command("cleanup", "--dry-run", stdout=said)
    assert "would remove" in said.getvalue()
    call_command("cleanup", stdout=StringIO())
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM metrics_raw_machine")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT count(*) FROM metrics_hourly_machine")
        assert cursor.fetchone() == (1,)


# --- The admin ----------------------------------------------------------------------------------


@pytest.fixture
def client():
    client = Client()
    client.force_login(make_user(is_superuser=True, is_staff=True))
    return client


def test_a_line_is_added_and_audited(client):
    answer = client.post(
        "/admin/metrics/retention/add/", {"tier": "raw", "connection": "", "keep_days": "30"}
    )
    assert answer.status_code == 302, answer.content
    assert retention.kept(tiers.RAW).site == 30
    assert AuditEvent.objects.filter(action__startswith="retention").exists()


@pytest.mark.parametrize("days", ["0", "-1", "7306", "many"])
def test_days_that_make_no_sense_are_refused(client, days):
    form = {"tier": "raw", "connection": "", "keep_days": days}
    assert client.post("/admin/metrics/retention/add/", form).status_code == 200
    assert not Retention.objects.exists()


def test_clean_up_now_tells_what_goes_and_gives_it_to_a_worker(client, redis_client, machine):
    keep("raw", 3)
    fill(machine, 4)
    line = Retention.objects.get()
    form = {"action": "clean_up_now", "_selected_action": [line.pk]}
    page = client.post("/admin/metrics/retention/", form, follow=True).content.decode()
    assert "Begun:" in page
    assert tasks_waiting(redis_client) == 1


def tasks_waiting(samples):
    """The broker is the first database of the Redis whose third holds the samples."""
    path = samples.connection_pool.connection_kwargs["path"]
    with Redis(unix_socket_path=path, db=0) as broker:
        return broker.llen("celery")


def test_only_staff_with_the_permission(machine):
    client = Client()
    person = make_user(is_staff=True)
    client.force_login(person)
    assert client.get("/admin/metrics/retention/").status_code == 403
    person.user_permissions.add(Permission.objects.get(codename="view_retention"))
    assert client.get("/admin/metrics/retention/").status_code == 200


def test_partitions_of_nobody_are_named_oldest_first(machine):
    for days in (40, 41):
        fill(machine, days)
    names = partitions.expired(tiers.RAW.machine, NOW.date() - 14 * DAY)
    assert names == sorted(names)
    assert names
