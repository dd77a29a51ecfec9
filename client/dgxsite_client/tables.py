"""Lists for people: columns as wide as their widest cell. What a machine says stays on its line."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dgxsite_client import terminal

ABSENT = "–"
_GIB = 2**30


def lines(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """One line per row, the titles first."""
    cells = [[_cell(cell) for cell in row] for row in [titles, *rows]]
    widths = [max(len(row[number]) for row in cells) for number in range(len(titles))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _cell(value: object) -> str:
    """On its line, and as wide as it looks: cleaned before the columns are measured."""
    return ABSENT if value is None or value == "" else terminal.line(str(value))


def percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f} %"


def memory(used: int | None, total: int | None) -> str | None:
    """`12.0 / 80.0 GiB`."""
    if used is None:
        return None
    whole = ABSENT if total is None else f"{total / _GIB:.1f}"
    return f"{used / _GIB:.1f} / {whole} GiB"


def watts(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f} W"


def celsius(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f} °C"


def lasted(row: dict[str, Any], now: datetime | None = None) -> str | None:
    """How long a job has run, `1:02:03`."""
    if row["started_at"] is None:
        return None
    end = row["completed_at"]
    until = datetime.fromisoformat(end) if end else now or datetime.now(UTC)
    start = datetime.fromisoformat(row["started_at"])
    minutes, seconds = divmod(max(0, round((until - start).total_seconds())), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
