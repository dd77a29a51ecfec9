"""`nvidia-smi -q -x`: inventory, MIG devices and, where the CSV query fails, the live values.

Drivers 352 to 610 renamed several elements; `PATHS` lists all names of each value, newest first.
A document with entity definitions is refused (the genuine one has a bare DOCTYPE line), and so is
one with more elements than any machine has; what cannot be parsed raises `ValueError`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from xml.etree.ElementTree import ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from metrics.collectors.nvidia import throttle
from metrics.collectors.nvidia import values as nvidia_values
from metrics.collectors.nvidia.gpu_list import MAX_MIG_DEVICES
from metrics.collectors.readings import MigDevice, Process
from metrics.collectors.tokens import FAILED, MEBIBYTES, UNSUPPORTED, Refusals, whole

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
MAX_CHARACTERS = 2 * 1024 * 1024
MAX_GPUS = 64
MAX_PROCESSES = 1024
# The full document of 16 GPUs with 500 processes has half of it, and a depth of six.
MAX_ELEMENTS = 20_000
MAX_DEPTH = 32
MAX_TEXT = 1024
# Elements that stand in a row beside their equals; of all others the first of a name is read.
REPEATED = frozenset({"mig_device", "process_info"})


class TooLarge(ValueError):
    """More than any machine prints."""


@dataclass(frozen=True, slots=True)
class XmlGpu:
    """One `<gpu>` block."""

    reading: nvidia_values.Reading
    mig: tuple[MigDevice, ...]
    processes: tuple[Process, ...]


@dataclass(slots=True)
class Element:
    """One element, with its children by name: what is looked up costs one step a level."""

    text: str = ""
    first: dict[str, "Element"] | None = None  # made when there is one: most elements have none
    repeated: list["Element"] | None = None

    def add(self, tag: str, child: "Element") -> None:
        if tag in REPEATED:
            self.repeated = self.repeated or []
            self.repeated.append(child)
        else:
            self.first = self.first or {}
            self.first.setdefault(tag, child)

    def at(self, path: str) -> "Element | None":
        """The element at `path`, such as `clocks/sm_clock`."""
        found: Element | None = self
        for name in path.split("/"):
            found = None if found is None or found.first is None else found.first.get(name)
        return found

    def text_at(self, path: str) -> str:
        """The text of the element at `path`; empty where there is none."""
        found = self.at(path)
        return "" if found is None else found.text.strip()

    def rows(self, name: str) -> list["Element"]:
        """The repeated elements inside the element of this name."""
        found = self.at(name)
        return [] if found is None else found.repeated or []


class Tree:
    """Takes a parser's events; raises `TooLarge` for what no machine prints."""

    def __init__(self) -> None:
        self.gpus: list[Element] = []
        self._open = [Element()]
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) > MAX_DEPTH:
            raise TooLarge("the document has too many elements")
        element, parent = Element(), self._open[-1]
        parent.add(tag, element)
        if tag == "gpu":
            if len(self.gpus) >= MAX_GPUS:
                raise TooLarge("the document has too many GPUs")
            self.gpus.append(element)
        self._open.append(element)

    def end(self, tag: str) -> None:
        self._open.pop()

    def data(self, text: str) -> None:
        element = self._open[-1]
        if len(element.text) < MAX_TEXT and not element.first:
            element.text += text[:MAX_TEXT]

    def close(self) -> list[Element]:
        return self.gpus


def parse(document: str, refusals: Refusals) -> list[XmlGpu]:
    """Every GPU of the document, in its order, which is nvidia-smi's index order."""
    return [_gpu(block, index, refusals) for index, block in enumerate(blocks(document))]


def blocks(document: str) -> list[Element]:
    """The `<gpu>` elements."""
    if len(document) > MAX_CHARACTERS:
        raise TooLarge("the document is too large")
    tree = Tree()
    parser = ElementTree.DefusedXMLParser(
        target=tree, forbid_dtd=False, forbid_entities=True, forbid_external=True
    )
    try:
        parser.feed(document)
        parser.close()
    except DefusedXmlException as error:
        raise ValueError("the document defines entities") from error
    except ParseError as error:
        raise ValueError(f"the document is not well-formed: {error}") from error
    return tree.gpus


def _gpu(block: Element, index: int, refusals: Refusals) -> XmlGpu:
    tokens = {name: _first(block, paths) for name, paths in PATHS.items()}
    for prefix in REASONS:
        for name in throttle.REASON_BITS:
            tokens[f"{prefix}s.{name}"] = block.text_at(f"{prefix}s/{prefix}_{name}")
    values = {
        name: nvidia_values.converter(name, refusals)(token) for name, token in tokens.items()
    }
    told = nvidia_values.reading(values, index)
    mig = tuple(islice(_mig(block, refusals), MAX_MIG_DEVICES))
    processes = tuple(islice(_processes(block, told.uuid, refusals), MAX_PROCESSES))
    return XmlGpu(told, mig, processes)


def _first(block: Element, paths: tuple[str, ...]) -> str:
    """The first element that holds a value, else the first that is there at all."""
    found = [block.text_at(path) for path in paths]
    told = [token for token in found if token not in UNSUPPORTED and token not in FAILED]
    return (told or [token for token in found if token] or [""])[0]


def _mig(block: Element, refusals: Refusals) -> Iterator[MigDevice]:
    for device in block.rows("mig_devices"):
        index = device.text_at("index")
        if not (index.isascii() and index.isdigit()):
            continue
        used = device.text_at("fb_memory_usage/used")
        total = device.text_at("fb_memory_usage/total")
        yield MigDevice(
            index=int(index[:4]),
            uuid=nvidia_values.text(device.text_at("uuid")),
            memory_used_bytes=whole(used, MEBIBYTES, "mig used", refusals),
            memory_total_bytes=whole(total, MEBIBYTES, "mig total", refusals),
        )


def _processes(block: Element, uuid: str | None, refusals: Refusals) -> Iterator[Process]:
    """Processes that compute: type C, C+G or M+C."""
    for process in block.rows("processes"):
        pid = process.text_at("pid")
        if "C" not in process.text_at("type") or not (pid.isascii() and pid.isdigit()):
            continue
        yield Process(
            gpu_uuid=uuid,
            pid=int(pid[:10]),
            name=nvidia_values.text(process.text_at("process_name")),
            memory_used_bytes=whole(
                process.text_at("used_memory"), MEBIBYTES, "used_memory", refusals
            ),
        )
