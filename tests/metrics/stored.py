"""Rows of the raw tier, written as a keeper writes them, for tests of what follows from them."""

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from connections.models import Connection
from metrics.history import rollup_queue, tiers
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS
from metrics.history.window import GpuWindow, Values, Window
from metrics.live import persist
from metrics.models import GpuIdentity, Machine

SECONDS = 20


def machine_of(row: Connection) -> Machine:
    return Machine.objects.get_or_create(connection=row)[0]


def store(machine: Machine, windows: Sequence[Window]) -> None:
    """Write windows with their notes, in one transaction; the days they need are made."""
    tiers.ensure_days(sorted({window.at.date() for window in windows}))
    for index in sorted({gpu.index for window in windows for gpu in window.gpus}):
        GpuIdentity.objects.get_or_create(machine=machine, index=index, uuid=f"GPU-{index}")
    write(machine, windows)


def write(machine: Machine, windows: Sequence[Window]) -> None:
    """The same over days and GPUs that are known."""
    mine = [(machine.pk, window) for window in windows]
    with transaction.atomic():
        rollup_queue.note(tiers.HOURLY, persist._hours(mine))
        persist.copy(tiers.RAW.machine, persist._machine_rows(mine))
        persist.copy(tiers.RAW.gpu, persist._gpu_rows(mine))


def ends(start: datetime, count: int) -> list[datetime]:
    return [start + timedelta(seconds=SECONDS * (step + 1)) for step in range(count)]


def steady(at: datetime, value: float | None, gpus: int = 1, readings: int = 10) -> Window:
    """A window in which every metric of the machine and of its GPUs is `value`."""
    numbers: Values = (value,) * 3 * len(MACHINE_METRICS)
    of_gpu: Values = (value,) * 3 * len(GPU_METRICS)
    each = tuple(GpuWindow(i, f"GPU-{i}", None, readings, of_gpu) for i in range(gpus))
    return Window(at, readings, numbers, each)


def random_windows(at: Iterable[datetime], generator: random.Random, gpus: int = 2) -> list[Window]:
    """Windows with numbers of all sizes, absent ones, and differing numbers of readings."""
    return [_random_window(one, generator, gpus) for one in at]


def _random_window(at: datetime, generator: random.Random, gpus: int) -> Window:
    present = [index for index in range(gpus) if generator.random() < 0.9]
    each = tuple(
        GpuWindow(
            index,
            f"GPU-{index}",
            None,
            generator.randint(1, 10),
            _random_numbers(len(GPU_METRICS), generator),
        )
        for index in present
    )
    numbers = _random_numbers(len(MACHINE_METRICS), generator)
    return Window(at, generator.randint(1, 10), numbers, each)


def _random_numbers(metrics: int, generator: random.Random) -> Values:
    numbers: list[float | None] = []
    for _ in range(metrics):
        if generator.random() < 0.15:
            numbers += [None, None, None]
            continue
        scale = generator.choice([1.0, 100.0, 1e11])
        low, mean, high = sorted(generator.random() * scale for _ in range(3))
        numbers += [mean, low, high]
    return tuple(numbers)
