"""The tiers of the history as records: what each keeps, how fine, for how long, in which tables.

Nothing here acts but `ensure_partitions`. A row of the raw tier is one window and is named by the
moment at which that ends; a row of the others is an hour or a day, UTC, and is named by its start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from metrics.history import partitions
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS, columns, counted_columns
from metrics.history.partitions import Every, Table

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tier:
    """One grain of the history: a table per machine, one per GPU, and how long rows are kept."""

    name: str
    # Of one row: the raw tier's windows may be shorter in tests, never longer.
    resolution_seconds: int
    keep_days: int
    machine: Table
    gpu: Table

    @property
    def resolution(self) -> timedelta:
        return timedelta(seconds=self.resolution_seconds)

    def start_of(self, moment: datetime) -> datetime:
        """The beginning of the row's span in which a moment lies."""
        return _EPOCH + (moment - _EPOCH) // self.resolution * self.resolution

    @property
    def tables(self) -> tuple[Table, Table]:
        return self.machine, self.gpu


_MACHINE_KEY = ("at", "machine")
_GPU_KEY = ("at", "machine", "gpu")


def _counted(name: str, every: Every) -> tuple[Table, Table]:
    return (
        Table(f"metrics_{name}_machine", _MACHINE_KEY, counted_columns(MACHINE_METRICS), every),
        Table(f"metrics_{name}_gpu", _GPU_KEY, counted_columns(GPU_METRICS), every),
    )


RAW = Tier(
    "raw",
    20,
    14,
    Table("metrics_raw_machine", (*_MACHINE_KEY, "readings"), columns(MACHINE_METRICS)),
    Table("metrics_raw_gpu", (*_GPU_KEY, "readings"), columns(GPU_METRICS)),
)
HOURLY = Tier("hourly", 3600, 400, *_counted("hourly", "month"))
DAILY = Tier("daily", 86_400, 5 * 365 + 1, *_counted("daily", "year"))
TIERS: Sequence[Tier] = (RAW, HOURLY, DAILY)
TABLES: Sequence[Table] = tuple(table for tier in TIERS for table in tier.tables)
BY_NAME = {tier.name: tier for tier in TIERS}


def ensure_partitions(today: date, days_ahead: int = partitions.DAYS_AHEAD) -> int:
    """Make the partitions from the day before `today` on; how many were missing."""
    return ensure_days(partitions.ahead(today, days_ahead))


def ensure_days(days: Sequence[date]) -> int:
    """Make the partitions of these days in every tier; how many were missing."""
    return sum(partitions.ensure(table, days) for table in TABLES)
