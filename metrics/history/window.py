"""The readings of a window and what becomes of them: pure functions, no clock, no I/O.

A window is `PERSIST_SECONDS` long and aligned to the clock; it is named by the moment at which it
ends, and holds the readings from its start, inclusive, to its end, exclusive. An absent value takes
no part in mean, least and greatest; a metric that was absent in every reading stays absent.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from metrics.collectors.readings import Gpu, Sample
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS, Number

# What a column of type `real` can hold: beyond lies an error that would lose the whole COPY.
_GREATEST = 3.4e38
_LEAST = 1.2e-38
# And what a `smallint` holds: an index beyond it is a machine's nonsense, not a GPU.
_GREATEST_INDEX = 32_767

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Values = tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU in one reading; `values` are in the order of `GPU_METRICS`."""

    index: int
    uuid: str | None
    name: str | None
    values: Values


@dataclass(frozen=True, slots=True)
class Reading:
    """What is kept of one sample; `values` are in the order of `MACHINE_METRICS`."""

    at: datetime
    values: Values
    gpus: tuple[GpuReading, ...]


@dataclass(frozen=True, slots=True)
class GpuWindow:
    """One GPU in one window; `numbers` are the columns after its key."""

    index: int
    uuid: str | None
    name: str | None
    count: int
    numbers: Values


@dataclass(frozen=True, slots=True)
class Window:
    """The aggregate of one machine's readings: `at` is the end, `count` how many there were."""

    at: datetime
    count: int
    numbers: Values
    gpus: tuple[GpuWindow, ...]


def reading_of(sample: Sample) -> Reading:
    """What is kept of a sample."""
    return Reading(
        sample.recorded_at,
        tuple([metric.read(sample) for metric in MACHINE_METRICS]),
        tuple([_gpu_reading(gpu) for gpu in sample.gpus if 0 <= gpu.index <= _GREATEST_INDEX]),
    )


def _gpu_reading(gpu: Gpu) -> GpuReading:
    values = tuple([metric.read(gpu) for metric in GPU_METRICS])
    return GpuReading(gpu.index, gpu.uuid, gpu.name, values)


def encode(reading: Reading) -> bytes:
    """A compact JSON array that `decode` turns back into an equal reading."""
    gpus = [[gpu.index, gpu.uuid, gpu.name, gpu.values] for gpu in reading.gpus]
    return orjson.dumps([_microseconds(reading.at), reading.values, gpus])


def decode(text: bytes) -> Reading | None:
    """The reading, or None if another version of the site wrote it with other metrics."""
    try:
        at, values, gpus = orjson.loads(text)
        reading = Reading(
            _EPOCH + at * _MICROSECOND,
            tuple(values),
            tuple(GpuReading(index, uuid, name, tuple(of)) for index, uuid, name, of in gpus),
        )
    except (ValueError, TypeError):
        return None
    fits = len(reading.values) == len(MACHINE_METRICS)
    fits_gpus = all(len(gpu.values) == len(GPU_METRICS) for gpu in reading.gpus)
    return reading if fits and fits_gpus else None


def window_end(at: datetime, seconds: float) -> datetime:
    """The end of the window in which this moment lies."""
    width = round(seconds * 1_000_000)
    return _EPOCH + (_microseconds(at) // width + 1) * width * _MICROSECOND


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def aggregate(at: datetime, readings: Sequence[Reading]) -> Window:
    """One window of one machine; there is at least one reading."""
    by_gpu: dict[int, list[GpuReading]] = {}
    for reading in readings:
        for gpu in reading.gpus:
            by_gpu.setdefault(gpu.index, []).append(gpu)
    return Window(
        at=at,
        count=len(readings),
        numbers=_statistics([reading.values for reading in readings]),
        gpus=tuple(_gpu_window(by_gpu[index]) for index in sorted(by_gpu)),
    )


def _gpu_window(readings: Sequence[GpuReading]) -> GpuWindow:
    last = readings[-1]
    numbers = _statistics([reading.values for reading in readings])
    return GpuWindow(last.index, last.uuid, last.name, len(readings), numbers)


def _statistics(rows: Iterable[Values]) -> Values:
    """Mean, least and greatest of each column, side by side."""
    numbers: list[Any] = []
    for column in zip(*rows, strict=True):
        known = [value for value in column if value is not None]
        if not known:
            numbers += (None, None, None)
            continue
        low, high = min(known), max(known)
        # Rounding must not put the mean of equal values beside them.
        mean = low if low == high else sum(known) / len(known)
        numbers += (_storable(mean), _storable(low), _storable(high))
    return tuple(numbers)


def _storable(value: float) -> Number:
    """None for what no column holds; collectors refuse such values, this saves the others' rows."""
    if not math.isfinite(value) or abs(value) > _GREATEST:
        return None
    return 0.0 if abs(value) < _LEAST else value
