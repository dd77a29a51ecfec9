"""The latest samples as Prometheus text (exposition format 0.0.4): values in, text out.

https://prometheus.io/docs/instrumenting/exposition_formats/. What a machine does not report is left
out, and so is everything but `dgx_up` of a machine that is not connected: an old value would pass
for a new one. A label set occurs once per metric, because one that occurs twice makes Prometheus
refuse the whole answer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from connections.models import Connection, Reason, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str | None]
Value = float | int | None
Sample = Mapping[str, Any]
# What one sample has to say for a metric: each value with the labels that tell it apart.
Values = Iterable[tuple[Labels, Value]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the answer and where its values are in a sample (section 4.1)."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    read: Callable[[Sample], Values]


def _of_gpus(key: str) -> Callable[[Sample], Values]:
    return lambda sample: [
        ({"gpu": str(gpu["index"]), "uuid": gpu["uuid"]}, gpu[key]) for gpu in sample["gpus"]
    ]


def _of_disks(key: str) -> Callable[[Sample], Values]:
    return lambda sample: [({"mount": disk["mount"]}, disk[key]) for disk in sample["disks"]]


def _of_networks(key: str) -> Callable[[Sample], Values]:
    return lambda sample: [
        ({"interface": network["interface"]}, network[key]) for network in sample["networks"]
    ]


def _of_machine(part: str, key: str) -> Callable[[Sample], Values]:
    return lambda sample: [({}, sample[part][key])]


METRICS: Sequence[Metric] = (
    Metric(
        "dgx_gpu_utilization_percent",
        "gauge",
        "Share of the time in which the GPU computed.",
        _of_gpus("utilization_percent"),
    ),
    Metric(
        "dgx_gpu_memory_used_bytes",
        "gauge",
        "Memory of the GPU in use; of a GPU with unified memory, memory of the machine.",
        _of_gpus("memory_used_bytes"),
    ),
    Metric(
        "dgx_gpu_memory_total_bytes",
        "gauge",
        "Memory of the GPU, or that which it shares with the machine.",
        _of_gpus("memory_total_bytes"),
    ),
    Metric(
        "dgx_gpu_temperature_celsius", "gauge", "Heat of the GPU's core.", _of_gpus("temperature_c")
    ),
    Metric("dgx_gpu_power_watts", "gauge", "Power that the GPU draws.", _of_gpus("power_watts")),
    Metric(
        "dgx_cpu_utilization_percent",
        "gauge",
        "Share of the time in which the processors worked, all of them together.",
        _of_machine("cpu", "utilization_percent"),
    ),
    Metric(
        "dgx_memory_used_bytes",
        "gauge",
        "Main memory that is not available to new work.",
        _of_machine("memory", "used_bytes"),
    ),
    Metric("dgx_memory_total_bytes", "gauge", "Main memory.", _of_machine("memory", "total_bytes")),
    Metric("dgx_disk_used_bytes", "gauge", "File system in use.", _of_disks("used_bytes")),
    Metric("dgx_disk_total_bytes", "gauge", "Size of the file system.", _of_disks("total_bytes")),
    Metric(
        "dgx_network_receive_bytes_total",
        "counter",
        "Bytes received by the interface since it came up, RDMA included.",
        _of_networks("rx_bytes"),
    ),
    Metric(
        "dgx_network_transmit_bytes_total",
        "counter",
        "Bytes sent by the interface since it came up, RDMA included.",
        _of_networks("tx_bytes"),
    ),
)
UP = "dgx_up"
_UP_HELP = "1 while the machine is connected and sends samples."


def text(machines: Iterable[tuple[Connection, Sample | None]]) -> str:
    """The whole answer for these machines, each with its latest sample if it has one."""
    every = [(_labels_of(row), _is_up(row, sample), sample) for row, sample in machines]
    lines = _head(UP, "gauge", _UP_HELP)
    lines += [_line(UP, labels, int(is_up)) for labels, is_up, _ in every]
    live = [(labels, sample) for labels, is_up, sample in every if is_up and sample is not None]
    for metric in METRICS:
        lines += _head(metric.name, metric.kind, metric.help)
        lines += _lines(metric, live)
    return "\n".join(lines) + "\n"


def _is_up(row: Connection, sample: Sample | None) -> bool:
    return row.status == Status.CONNECTED and row.reason != Reason.STALE and sample is not None


def _labels_of(row: Connection) -> Labels:
    return {"connection": row.name, "connection_id": str(row.pk)}


def _lines(metric: Metric, machines: Iterable[tuple[Labels, Sample]]) -> Iterable[str]:
    # A machine may mount one place twice; the first is the one that `df` shows first.
    found: dict[str, str] = {}
    for of_machine, sample in machines:
        for labels, value in metric.read(sample):
            if value is not None:
                full = {**of_machine, **labels}
                found.setdefault(_labels(full), _line(metric.name, full, value))
    return found.values()


def _head(name: str, kind: str, words: str) -> list[str]:
    return [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]


def _line(name: str, labels: Labels, value: float) -> str:
    return f"{name}{_labels(labels)} {value!r}"


def _labels(labels: Labels) -> str:
    """An absent label and an empty one are the same to Prometheus."""
    pairs = [f'{name}="{escape(value)}"' for name, value in labels.items() if value]
    return "{" + ",".join(pairs) + "}"


def escape(value: str) -> str:
    """A label's value between its quotes."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
