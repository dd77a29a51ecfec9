"""What a rule can watch: a table of quantities, how to read each from a sample, and its words.

The names are those of the series of the history, and a few that are watched live only. A quantity
of a GPU is looked at for each GPU on its own; everything else once per machine. Nothing here
touches the database.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core import formats
from metrics.collectors.readings import Gpu, Sample
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS, Number

NOT_SEEN = "not_seen_seconds"
MEMORY_LEFT = "memory_seconds_left"
THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One line of the table; of the two readers at most one is set.

    `series` is its name in the history, None where the history does not keep it. `show` writes a
    value for people, with its unit.
    """

    name: str
    title: str
    show: Callable[[float | None], str]
    unit: str = ""
    read: Callable[[Sample], Number] | None = None
    read_gpu: Callable[[Gpu], Number] | None = None
    series: str | None = None

    @property
    def is_per_gpu(self) -> bool:
        return self.read_gpu is not None


def _unit(sign: str) -> Callable[[float | None], str]:
    return lambda value: formats.quantity(value, sign, _digits(value))


def _digits(value: float | None) -> int:
    """One digit where a whole number would say something else: 0.5, 84.6."""
    return 0 if value is None or float(value).is_integer() or abs(value) >= 1000 else 1


def _load(value: float | None) -> str:
    return formats.number(value, 1)


def _yes(value: float | None) -> str:
    return formats.ABSENT if value is None else "held back" if value else "free"


def span(seconds: float | None) -> str:
    """A duration without a zero at its end: `5 min`, not `5 min 0 s`."""
    return re.sub(" 0\u00a0[a-z]+$", "", formats.duration(seconds))


# Unit of the catalogue → how it is written, and the sign beside a field that takes it.
_UNITS: dict[str, tuple[Callable[[float | None], str], str]] = {
    "percent": (_unit("%"), "%"),
    "celsius": (_unit("°C"), "°C"),
    "watts": (_unit("W"), "W"),
    "mhz": (_unit("MHz"), "MHz"),
    "bytes": (formats.size, "bytes"),
    "bytes_per_second": (formats.rate, "bytes/s"),
    "load": (_load, ""),
    "share": (_yes, "1 = yes"),
    "seconds": (span, "s"),
}
_TITLES = {
    "cpu_percent": "CPU utilisation",
    "memory_percent": "memory used",
    "disk_percent": "disk used on /",
    "network_rx_bytes_per_second": "network traffic in",
    "network_tx_bytes_per_second": "network traffic out",
    "memory_available_percent": "memory available",
    "load_1m": "load average",
    "memory_pressure_percent": "memory pressure",
    "gpu_percent": "GPU utilisation",
    "gpu_memory_percent": "GPU memory used",
    "gpu_memory_used_bytes": "GPU memory used in bytes",
    "gpu_temperature_c": "GPU temperature",
    "gpu_power_watts": "GPU power",
    "gpu_sm_clock_mhz": "GPU clock",
    "gpu_throttled": "GPU clock held back by the driver",
    THROTTLED: "GPU throttled",
    NOT_SEEN: "time since the machine was last seen",
    MEMORY_LEFT: "time until memory runs out",
}


def _of_gpu(name: str, metric: str) -> Quantity:
    found = next(one for one in GPU_METRICS if one.name == metric)
    show, unit = _UNITS[found.unit]
    return Quantity(name, _TITLES[name], show, unit, read_gpu=found.read, series=metric)


def _seconds(name: str) -> Quantity:
    show, unit = _UNITS["seconds"]
    return Quantity(name, _TITLES[name], show, unit)


def _table() -> list[Quantity]:
    of_gpus = {metric.name for metric in GPU_METRICS}
    of_machines = [
        Quantity(one.name, _TITLES[one.name], *_UNITS[one.unit], read=one.read, series=one.name)
        for one in MACHINE_METRICS
        if one.name not in of_gpus  # per GPU, a rule says which one is hot
    ]
    return [
        *(_of_gpu(metric.name, metric.name) for metric in GPU_METRICS),
        _of_gpu(THROTTLED, "gpu_throttled"),
        *of_machines,
        _seconds(MEMORY_LEFT),
        _seconds(NOT_SEEN),
    ]


QUANTITIES: dict[str, Quantity] = {one.name: one for one in _table()}

# Values of one quantity in one sample, in the order of its GPUs, and the least and greatest known.
Column = tuple[Sequence[Number], Number, Number]


_UNKNOWN: Column = ((None,), None, None)
_NOTHING: Column = ((), None, None)


class Board:
    """One sample, read as far as somebody asks; `memory_left` comes from the guard.

    A column is read once, however many rules look at it.
    """

    __slots__ = ("_columns", "_sample")

    def __init__(self, sample: Sample, memory_left: float | None = None) -> None:
        self._sample = sample
        left = (memory_left,)
        self._columns: dict[str, Column] = {
            MEMORY_LEFT: (left, memory_left, memory_left),
            NOT_SEEN: _UNKNOWN,
        }

    @property
    def gpus(self) -> Sequence[int]:
        """The indices of the GPUs, in the order of the columns."""
        return [gpu.index for gpu in self._sample.gpus]

    def column(self, name: str) -> Column:
        """The values of a quantity: one for each GPU, or one for the machine."""
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = _column(self._read(QUANTITIES[name]))
        return found

    def _read(self, quantity: Quantity) -> Sequence[Number]:
        if quantity.read_gpu is not None:
            return [quantity.read_gpu(gpu) for gpu in self._sample.gpus]
        assert quantity.read is not None, "what no sample holds is given from outside"
        return (quantity.read(self._sample),)


def _column(values: Sequence[Number]) -> Column:
    if None in values:
        known = [value for value in values if value is not None]
        return (values, min(known), max(known)) if known else (values, None, None)
    return (values, min(values), max(values)) if values else _NOTHING  # type: ignore[type-var]
