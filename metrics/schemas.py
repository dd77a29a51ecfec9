"""The shape of what the API answers about readings and history, for `openapi.json`.

These answers are large or hot and leave as bytes that were encoded before: nothing is checked
against these schemas while the site runs, but in `tests/api/test_openapi.py`.
"""

from collections.abc import Iterable
from typing import Annotated, Any, get_args
from uuid import UUID

from pydantic import ConfigDict, create_model

from core.openapi import Choice, Instant
from core.schemas import Output
from metrics import annotations
from metrics.collectors.readings import MemoryKind
from metrics.compare.table import SERIES
from metrics.history.catalogue import METRICS
from metrics.history.query import RANGES
from metrics.models import TierName

# What it may be is checked, with a sentence, in `metrics.history.query`.
HistoryRange = Choice("HistoryRange", RANGES)
Tier = Annotated[str, Choice("Tier", TierName.values)]
Tone = Annotated[str, Choice("Tone", get_args(annotations.Tone))]


class MigDeviceOut(Output):
    """A slice of a GPU; `index` is the device number that `nvidia-smi -L` shows."""

    index: int
    uuid: str | None
    profile: str | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None


class GpuOut(Output):
    """One GPU; what the machine does not report is null."""

    index: int
    uuid: str | None
    name: str | None
    utilization_percent: float | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    memory_kind: Annotated[str, Choice("MemoryKind", get_args(MemoryKind))] | None
    temperature_c: float | None
    power_watts: float | None
    power_limit_watts: float | None
    fan_percent: float | None
    sm_clock_mhz: float | None
    memory_clock_mhz: float | None
    throttle_reasons: list[str] | None
    mig: list[MigDeviceOut]


class ProcessOut(Output):
    """A process that computes on a GPU."""

    gpu_uuid: str | None
    pid: int
    name: str | None
    user: str | None
    container: str | None
    memory_used_bytes: int | None


class CpuOut(Output):
    utilization_percent: float | None
    cores: int | None
    frequency_mhz: float | None
    load_1m: float | None


class MemoryOut(Output):
    """`pressure_percent` is the kernel's "some" share of the last ten seconds."""

    total_bytes: int | None
    used_bytes: int | None
    available_bytes: int | None
    swap_total_bytes: int | None
    swap_used_bytes: int | None
    pressure_percent: float | None


class DiskOut(Output):
    mount: str
    total_bytes: int | None
    used_bytes: int | None


class NetworkOut(Output):
    """Counters since the interface came up, rates since the sample before."""

    interface: str
    rx_bytes: int | None
    tx_bytes: int | None
    rx_packets: int | None
    tx_packets: int | None
    rx_bytes_per_second: float | None
    tx_bytes_per_second: float | None


class BatteryOut(Output):
    level_percent: float | None
    charging: bool | None
    seconds_left: int | None


class HealthOut(Output):
    """Whether one source answered; `detail` holds the tool's own words when it did not."""

    source: str
    ok: bool
    detail: str | None


class SampleOut(Output):
    """What a machine reported at one moment; `seq` counts its samples."""

    connection_id: UUID
    recorded_at: Instant
    seq: int
    gpus: list[GpuOut]
    processes: list[ProcessOut]
    cpu: CpuOut
    memory: MemoryOut
    disks: list[DiskOut]
    networks: list[NetworkOut]
    battery: BatteryOut | None
    health: list[HealthOut]


class SampleList(Output):
    items: list[SampleOut]
    count: int


class SeriesOut(Output):
    """A value for each timestamp; null where nothing was reported."""

    avg: list[float | None]
    min: list[float | None]
    max: list[float | None]


def _only_timestamp_is_sure(schema: dict[str, Any]) -> None:
    schema["required"] = ["timestamp"]


class HistoryTimes(Output):
    """Columns of one length: `timestamp`, and each series that was asked for."""

    model_config = ConfigDict(json_schema_extra=_only_timestamp_is_sure)

    timestamp: list[Instant]


class CompareTimes(Output):
    """Columns of one length; `offset_seconds` are the timestamps from the start on."""

    timestamp: list[Instant]
    offset_seconds: list[float]


class FiguresOut(Output):
    """Of one series; `p95` is of the means of its rows."""

    mean: float | None
    p95: float | None
    max: float | None


def _model(name: str, base: type[Output], names: Iterable[str], kind: type[Output]) -> Any:
    """`base` with a field for each name: what the catalogue holds is not written down twice."""
    fields: dict[str, Any] = dict.fromkeys(names, (kind, ...))
    return create_model(name, __base__=base, __doc__=base.__doc__, **fields)


HistoryColumns = _model("HistoryColumns", HistoryTimes, (one.name for one in METRICS), SeriesOut)
CompareColumns = _model("CompareColumns", CompareTimes, SERIES, SeriesOut)
CompareSummary = _model("CompareSummary", Output, SERIES, FiguresOut)


class HistoryOut(Output):
    """`resolution_seconds` is the length of one step."""

    tier: Tier
    resolution_seconds: int
    series: HistoryColumns  # type: ignore[valid-type]


class CompareItem(Output):
    """One machine over one span, whole or one GPU of it."""

    connection_id: UUID
    name: str
    range: str
    start: Instant
    end: Instant
    gpu: int | None
    tier: Tier
    resolution_seconds: int
    series: CompareColumns  # type: ignore[valid-type]
    summary: CompareSummary  # type: ignore[valid-type]
    energy_wh: float | None


class CompareOut(Output):
    items: list[CompareItem]


class MarkOut(Output):
    """A stretch of time; it goes on while `end` is null, and concerns all GPUs if `gpu` is null."""

    kind: str
    label: str
    start: Instant
    end: Instant | None
    tone: Tone
    gpu: int | None
    link: str


class MarkList(Output):
    items: list[MarkOut]
    count: int
