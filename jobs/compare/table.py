"""Runs beside each other as one table, which the page, the API and the file share. Pure.

A column is a run, the first one is what the others are measured against. Values are in base units;
None is what a run does not have or does not tell.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from jobs.tracking import better
from metrics.compare.table import difference

Value = str | int | float | None
Unit = Literal[
    "text", "code", "moment", "seconds", "watt_hours", "percent", "bytes", "money", "value"
]

MOST_RUNS = 8


@dataclass(frozen=True, slots=True)
class Printed:
    """What is told of one printed curve: of its finite points that are kept."""

    last: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """One column. `settings` is what may be compared as configuration; secrets are masked in it."""

    id: str
    name: str
    facts: Mapping[str, Value]
    settings: Mapping[str, Value]
    printed: Mapping[str, Printed]
    used: Mapping[str, int | float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a value per run.

    `best` are places in it, `differences` percents of the first run's value; both may be empty.
    """

    key: str
    title: str
    unit: Unit
    values: tuple[Value, ...]
    best: tuple[int, ...] = ()
    differences: tuple[float | None, ...] = ()

    @property
    def is_equal(self) -> bool:
        return all(value == self.values[0] for value in self.values)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one kind; `hidden` counts those that are left out because all runs agree."""

    key: str
    title: str
    rows: list[Row] = field(default_factory=list)
    hidden: int = 0


# Key, title, unit. Facts and uses that no run has are left out.
_FACTS: tuple[tuple[str, str, Unit], ...] = (
    ("status", "State", "text"),
    ("exit_code", "Exit code", "value"),
    ("project", "Project", "text"),
    ("machine", "Machine", "text"),
    ("granted_gpus", "GPUs", "text"),
    ("git_commit", "Git commit", "code"),
    ("git_changed", "Files changed since", "value"),
    ("requested_by", "Who", "text"),
    ("created_at", "Made", "moment"),
    ("started_at", "Started", "moment"),
    ("completed_at", "Ended", "moment"),
    ("duration_seconds", "Duration", "seconds"),
)
_USES: tuple[tuple[str, str, Unit], ...] = (
    ("energy_wh", "Energy", "watt_hours"),
    ("cost", "Cost", "money"),
    ("mean_gpu_percent", "Mean GPU utilisation", "percent"),
    ("peak_gpu_memory_bytes", "Peak GPU memory of the job", "bytes"),
    ("measured_seconds", "Measured for", "seconds"),
)
_FIGURES: tuple[tuple[str, str, Callable[[Printed], float | None], better.Better | None], ...] = (
    ("last", "last", lambda one: one.last, None),
    ("min", "lowest", lambda one: one.min, "lower"),
    ("max", "highest", lambda one: one.max, "higher"),
)


def table(runs: Sequence[Run], *, with_equal: bool = False) -> list[Group]:
    """The groups in the order in which they are read; a group without rows is left out."""
    groups = [
        Group("run", "What it is", list(_facts(runs))),
        _settings(runs, with_equal=with_equal),
        Group("printed", "Printed values", list(_printed(runs))),
        Group("used", "What it used", list(_used(runs))),
    ]
    return [group for group in groups if group.rows or group.hidden]


def _facts(runs: Sequence[Run]) -> Iterable[Row]:
    for key, title, unit in _FACTS:
        values = tuple(run.facts.get(key) for run in runs)
        if any(value is not None for value in values):
            yield Row(key, title, unit, values)


def _settings(runs: Sequence[Run], *, with_equal: bool) -> Group:
    rows = [
        Row(key, key, "code", tuple(run.settings.get(key) for run in runs))
        for key in _keys(run.settings for run in runs)
    ]
    # A run alone agrees with itself in everything.
    shown = rows if with_equal or len(runs) < 2 else [row for row in rows if not row.is_equal]
    return Group("settings", "Configuration", shown, len(rows) - len(shown))


def _printed(runs: Sequence[Run]) -> Iterable[Row]:
    for name in sorted(_keys(run.printed for run in runs)):
        wanted = better.of_name(name)
        for key, title, figure, of in _FIGURES:
            values = [_figure(run, name, figure) for run in runs]
            marked = better.best(values, wanted) if of in (None, wanted) else ()
            yield Row(f"{name}.{key}", f"{name}, {title}", "value", tuple(values), marked)


def _figure(run: Run, name: str, figure: Callable[[Printed], float | None]) -> float | None:
    return figure(run.printed[name]) if name in run.printed else None


def _used(runs: Sequence[Run]) -> Iterable[Row]:
    for key, title, unit in _USES:
        values = tuple(run.used.get(key) for run in runs)
        if any(value is not None for value in values):
            more = tuple(difference(value, values[0]) for value in values[1:])
            yield Row(key, title, unit, values, (), (None, *more))


def _keys(each: Iterable[Mapping[str, object]]) -> list[str]:
    """Every key once, in the order in which it first comes."""
    return list(dict.fromkeys(key for one in each for key in one))


def last_of(values: Sequence[float | None]) -> Printed:
    """The figures of a curve; the last one counts even where it is not finite."""
    known = [value for value in values if value is not None]
    if not known:
        return Printed(None, None, None)
    return Printed(values[-1], min(known), max(known))
