"""What hours and days have to be, computed from the windows in plain Python."""

import math
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS
from metrics.history.partitions import Table
from metrics.history.window import Window

# (start of the hour or day, GPU or None) → mean, least, greatest, count of each metric in turn
Expected = dict[tuple[datetime, int | None], list[Any]]

_MICROSECOND = timedelta(microseconds=1)


def expected(windows: Iterable[Window], seconds: int) -> Expected:
    """The rows of one machine; `seconds` is 3600 or 86400."""
    groups: dict[tuple[datetime, int | None], list[tuple[int, Sequence[Any]]]] = defaultdict(list)
    for window in windows:
        start = _start(window.at - _MICROSECOND, seconds)
        groups[start, None].append((window.count, window.numbers))
        for gpu in window.gpus:
            groups[start, gpu.index].append((gpu.count, gpu.numbers))
    return {
        key: _row(rows, len(MACHINE_METRICS if key[1] is None else GPU_METRICS))
        for key, rows in groups.items()
    }


def _start(moment: datetime, seconds: int) -> datetime:
    whole = math.floor(moment.timestamp() / seconds) * seconds
    return datetime.fromtimestamp(whole, UTC)


def _row(rows: Sequence[tuple[int, Sequence[Any]]], metrics: int) -> list[Any]:
    found: list[Any] = []
    for metric in range(metrics):
        told = [
            (count, *map(_real, numbers[3 * metric : 3 * metric + 3]))
            for count, numbers in rows
            if numbers[3 * metric] is not None
        ]
        if not told:
            found += [None] * 4
            continue
        count = sum(one[0] for one in told)
        mean = math.fsum(one[0] * one[1] for one in told) / count
        found += [mean, min(one[2] for one in told), max(one[3] for one in told), count]
    return found


def _real(number: float) -> float:
    """As a column of four bytes holds it."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


def stored(table: Table, machine: int) -> Expected:
    """The rows of one machine as they are in the database."""
    gpu = "gpu" if "gpu" in table.key else "NULL::int"
    numbers = ", ".join(table.numbers)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT at, {gpu}, {numbers} FROM {table.name} WHERE machine = %s", [machine]
        )
        return {(at, index): list(row) for at, index, *row in cursor.fetchall()}


def assert_equal(found: Expected, wanted: Expected) -> None:
    """The same rows; numbers to the precision of a `real`, counts exactly."""
    assert found.keys() == wanted.keys()
    for key, row in wanted.items():
        for number, other in zip(found[key], row, strict=True):
            same = other if other is None or isinstance(other, int) else approximately(other)
            assert number == same, key


def approximately(number: float) -> Any:
    return pytest.approx(number, rel=1e-6, abs=1e-30)
