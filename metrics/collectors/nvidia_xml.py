"""`nvidia-smi -q -x`: inventory, MIG devices and, where the CSV query fails, the live values.

Drivers 352 to 610 renamed several elements; `PATHS` lists all names of each value, newest first.
A document with entity definitions is refused (the genuine one has a bare DOCTYPE line); what
cannot be parsed raises `ValueError`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from . import nvidia, throttle
from .nvidia_list import MAX_MIG_DEVICES
from .readings import MigDevice, Process
from .tokens import FAILED, MEBIBYTES, UNSUPPORTED, Refusals, whole

# Query name → the elements that hold the same value.
PATHS: dict[str, tuple[str, ...]] = {
    "uuid": ("uuid",),
    "name": ("product_name",),
    "utilization.gpu": ("utilization/gpu_util",),
    "memory.used": ("fb_memory_usage/used",),
    "memory.total": ("fb_memory_usage/total",),
    "temperature.gpu": ("temperature/gpu_temp",),
    "power.draw": (
        "gpu_power_readings/average_power_draw",
        "gpu_power_readings/power_draw",
        "power_readings/power_draw",
    ),
    "power.draw.instant": ("gpu_power_readings/instant_power_draw",),
    "power.limit": ("gpu_power_readings/current_power_limit", "power_readings/power_limit"),
    "enforced.power.limit": ("power_readings/enforced_power_limit",),
    "fan.speed": ("fan_speed",),
    "clocks.current.sm": ("clocks/sm_clock",),
    "clocks.current.memory": ("clocks/mem_clock",),
    "mig.mode.current": ("mig_mode/current_mig",),
}
REASONS = ("clocks_event_reason", "clocks_throttle_reason")
# Leaf elements that are read; the program on the machine leaves the other leaves out.
LEAVES = (
    "product_name", "uuid", "driver_version", "gpu_util", "total", "used", "gpu_temp",
    "average_power_draw", "instant_power_draw", "power_draw", "power_limit",
    "current_power_limit", "enforced_power_limit", "fan_speed", "sm_clock", "mem_clock",
    "current_mig", "index", "gpu_instance_id", "compute_instance_id", "gpu_instance_profile",
    "pid", "type", "process_name", "used_memory",
)  # fmt: skip
MAX_CHARACTERS = 8 * 1024 * 1024
MAX_PROCESSES = 1024


@dataclass(frozen=True, slots=True)
class XmlGpu:
    """One `<gpu>` block."""

    reading: nvidia.Reading
    mig: tuple[MigDevice, ...]
    processes: tuple[Process, ...]


def parse(document: str, refusals: Refusals) -> list[XmlGpu]:
    """Every GPU of the document, in its order, which is nvidia-smi's index order."""
    if len(document) > MAX_CHARACTERS:
        raise ValueError("the document is too large")
    try:
        root = ElementTree.fromstring(
            document, forbid_dtd=False, forbid_entities=True, forbid_external=True
        )
    except DefusedXmlException as error:
        raise ValueError("the document defines entities") from error
    except (ParseError, ValueError) as error:
        raise ValueError(f"the document is not well-formed: {error}") from error
    return [_gpu(block, index, refusals) for index, block in enumerate(root.iter("gpu"))]


def _gpu(block: Element, index: int, refusals: Refusals) -> XmlGpu:
    tokens = {name: _first(block, paths) for name, paths in PATHS.items()}
    for prefix in REASONS:
        for name in throttle.REASON_BITS:
            state = (block.findtext(f"{prefix}s/{prefix}_{name}") or "").strip()
            tokens[f"{prefix}s.{name}"] = state
    values = {name: nvidia.converter(name, refusals)(token) for name, token in tokens.items()}
    told = nvidia.reading(values, index)
    mig = tuple(_mig(block, refusals))
    processes = tuple(_processes(block, told.uuid, refusals))
    return XmlGpu(told, mig[:MAX_MIG_DEVICES], processes[:MAX_PROCESSES])


def _first(block: Element, paths: tuple[str, ...]) -> str:
    """The first element that holds a value, else the first that is there at all."""
    found = [(block.findtext(path) or "").strip() for path in paths]
    told = [token for token in found if token not in UNSUPPORTED and token not in FAILED]
    return (told or [token for token in found if token] or [""])[0]


def _mig(block: Element, refusals: Refusals) -> Iterator[MigDevice]:
    for device in block.iterfind("mig_devices/mig_device"):
        index = (device.findtext("index") or "").strip()
        if not (index.isascii() and index.isdigit()):
            continue
        used = device.findtext("fb_memory_usage/used") or ""
        total = device.findtext("fb_memory_usage/total") or ""
        yield MigDevice(
            index=int(index[:4]),
            uuid=nvidia.text(device.findtext("uuid") or ""),
            memory_used_bytes=whole(used.strip(), MEBIBYTES, "mig used", refusals),
            memory_total_bytes=whole(total.strip(), MEBIBYTES, "mig total", refusals),
        )


def _processes(block: Element, uuid: str | None, refusals: Refusals) -> Iterator[Process]:
    """Processes that compute: type C, C+G or M+C."""
    for process in block.iterfind("processes/process_info"):
        pid = (process.findtext("pid") or "").strip()
        if "C" not in (process.findtext("type") or "") or not (pid.isascii() and pid.isdigit()):
            continue
        used = (process.findtext("used_memory") or "").strip()
        yield Process(
            gpu_uuid=uuid,
            pid=int(pid[:10]),
            name=nvidia.text(process.findtext("process_name") or ""),
            memory_used_bytes=whole(used, MEBIBYTES, "used_memory", refusals),
        )
