"""Samples with known owners, and ledgers filled with them, for the tests of usage."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from connections.models import Connection, Keeper
from metrics.collectors.readings import Gpu, Process, Sample
from metrics.history.buffer import WindowBuffer
from tests.metrics.machines import MOMENT, holdings_of, make_gpu
from usage import noting
from usage.attribution import Minute
from usage.notes import Note, note_of

GIB = 2**30
MINUTE = timedelta(minutes=1)
END = MOMENT + MINUTE


def process(user: str | None, gpu: int = 0, gib: float | None = 10, **fields: Any) -> Process:
    memory = None if gib is None else int(gib * GIB)
    values: dict[str, Any] = {"gpu_uuid": f"GPU-{gpu}", "pid": 1, "memory_used_bytes": memory}
    return Process(user=user, **(values | fields))


def free_gpu(index: int = 0, **fields: Any) -> Gpu:
    values: dict[str, Any] = {
        "utilization_percent": 0.0,
        "memory_used_bytes": 0,
        "power_watts": 60.0,
    }
    return make_gpu(index, **(values | fields))


def sample(at: datetime, *processes: Process, gpus: Sequence[Gpu] | None = None) -> Sample:
    return Sample(at, gpus=tuple(gpus or (make_gpu(),)), processes=processes)


def moments(count: int = 30, start: datetime = MOMENT) -> list[datetime]:
    """Every two seconds, a second after the full one: never at a minute's edge."""
    return [start + timedelta(seconds=2 * step + 1) for step in range(count)]


def notes(samples: Iterable[Sample]) -> list[Note]:
    return [note_of(one) for one in samples]


def waiting(machine: Connection, samples: Iterable[Sample]) -> WindowBuffer[Note, Minute]:
    minutes = noting.make_minutes()
    for one in samples:
        minutes.add(machine.pk, note_of(one))
    return minutes


def save(keeper: Keeper, machine: Connection, samples: Sequence[Sample]) -> int:
    """Write all minutes of these samples."""
    after = max(one.recorded_at for one in samples) + timedelta(minutes=2)
    return noting.save(keeper.pk, holdings_of(machine), after, waiting(machine, samples))
