"""A machine with a past: rows of the raw and the hourly tier, as waves, made in the database."""

from datetime import UTC, datetime, timedelta

from django.db import connection

from connections.models import Connection
from metrics.history import tiers
from metrics.history.tiers import HOURLY, RAW, Tier
from metrics.models import GpuIdentity, Machine

# Each wave has its own length in seconds, so that two curves are never mistaken for each other.
_WAVES = {
    "cpu_percent": (30, 20, 5000),
    "memory_percent": (55, 10, 20000),
    "disk_percent": (38, 1, 90000),
    "gpu_percent": (50, 45, 3000),
    "gpu_memory_percent": (60, 25, 9000),
    "gpu_temperature_c": (58, 18, 3000),
    "gpu_power_watts": (300, 200, 3000),
    "network_rx_bytes_per_second": (4e7, 3e7, 7000),
    "network_tx_bytes_per_second": (2e7, 1e7, 4000),
}


def fill(row: Connection, *, hours: float = 24, days: int = 40, gpus: int = 1) -> Machine:
    """Raw rows of the last hours and hourly rows of the last days; a gap from 5 to 4 hours ago."""
    machine = Machine.objects.get_or_create(connection=row)[0]
    now = RAW.start_of(datetime.now(UTC))
    _insert(RAW, machine, None, now - timedelta(hours=hours), now)
    hour = HOURLY.start_of(now)
    if days:
        _insert(HOURLY, machine, None, hour - timedelta(days=days), hour)
    for index in range(gpus):
        GpuIdentity.objects.get_or_create(machine=machine, index=index, uuid=f"GPU-{index}")
        _insert(RAW, machine, index, now - timedelta(hours=hours), now)
    return machine


def extend(row: Connection, *, minutes: int, level: float) -> None:
    """Raw rows from now on, all at one level: as if time had gone on."""
    machine = Machine.objects.get(connection=row)
    first = RAW.start_of(datetime.now(UTC)) + RAW.resolution
    last = first + timedelta(minutes=minutes)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metrics_raw_machine (at, machine, readings, "
            "gpu_percent_avg, gpu_percent_min, gpu_percent_max) "
            "SELECT at, %s, 10, %s, %s, %s "
            "FROM generate_series(%s::timestamptz, %s, %s::interval) at",
            [machine.pk, level, level, level, first, last, f"{RAW.resolution_seconds} s"],
        )


def _insert(tier: Tier, machine: Machine, gpu: int | None, start: datetime, end: datetime) -> None:
    count = (end - start).days + 2
    tiers.ensure_days([(start + timedelta(days=day)).date() for day in range(count)])
    table = tier.machine if gpu is None else tier.gpu
    names = [name for name in _WAVES if f"{name}_avg" in table.numbers]
    parts = ("avg", "min", "max") if tier is RAW else ("avg", "min", "max", "count")
    columns = [f"{name}_{part}" for name in names for part in parts]
    values = [_value(name, part, gpu or 0) for name in names for part in parts]
    key = [str(machine.pk), *([] if gpu is None else [str(gpu)]), *(["10"] if tier is RAW else [])]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table.name} ({', '.join([*table.key, *columns])}) "
            f"SELECT at, {', '.join([*key, *values])} "
            "FROM generate_series(%s::timestamptz, %s::timestamptz, %s::interval) at "
            "WHERE NOT at BETWEEN %s AND %s",
            [
                start,
                end,
                f"{tier.resolution_seconds} s",
                end - timedelta(hours=5),
                end - timedelta(hours=4),
            ],
        )


def _value(name: str, part: str, phase: int) -> str:
    if part == "count":
        return "180"
    middle, swing, length = _WAVES[name]
    factor = {"avg": 1.0, "min": 0.9, "max": 1.05}[part]
    return f"{factor} * ({middle} + {swing} * sin(extract(epoch FROM at) / {length} + {phase}))"
