"""Samples and held machines for the tests of recording and saving."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from accounts.models import Team
from connections.models import Connection, Keeper
from metrics.collectors.readings import (
    Cpu,
    Disk,
    Gpu,
    Health,
    Memory,
    Network,
    Process,
    Sample,
)
from tests.factories import make_connection

# The beginning of a window of 20 seconds.
MOMENT = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def make_gpu(index: int = 0, **fields: Any) -> Gpu:
    values: dict[str, Any] = {
        "uuid": f"GPU-{index}",
        "name": "NVIDIA H100",
        "utilization_percent": 50.0,
        "memory_used_bytes": 20 * 2**30,
        "memory_total_bytes": 80 * 2**30,
        "memory_kind": "dedicated",
        "temperature_c": 60.0,
        "power_watts": 300.0,
        "power_limit_watts": 700.0,
        "sm_clock_mhz": 1980.0,
        "memory_clock_mhz": 2619.0,
        "throttle_reasons": (),
    }
    return Gpu(index=index, **(values | fields))


def make_sample(at: datetime = MOMENT, gpus: int = 1, **fields: Any) -> Sample:
    values: dict[str, Any] = {
        "gpus": tuple(make_gpu(index) for index in range(gpus)),
        "processes": (Process("GPU-0", 4711, "python", "ml", None, 2**30),),
        "cpu": Cpu(25.0, 20, 3000.0, 1.5),
        "memory": Memory(100, 40, 60, 0, 0, 0.5),
        "disks": (Disk("/", 1000, 250),),
        "networks": (Network("eth0", 10, 20, 1, 2, 1000.0, 2000.0, is_physical=True),),
        "health": (Health("nvidia_smi", ok=True),),
    }
    return Sample(recorded_at=at, **(values | fields))


def every_two_seconds(count: int, start: datetime = MOMENT) -> list[datetime]:
    return [start + timedelta(seconds=2 * step) for step in range(count)]


def make_keeper() -> Keeper:
    return Keeper.objects.create(name="test", heartbeat_at=datetime.now(UTC))


def held_machine(keeper: Keeper, team: Team | None = None, epoch: int = 1) -> Connection:
    return make_connection(team, owner=keeper, epoch=epoch, is_active=True)


def holdings_of(*machines: Connection) -> dict[UUID, int]:
    return {machine.pk: machine.epoch for machine in machines}
