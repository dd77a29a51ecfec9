"""What one machine can make its collector keep, in bytes, over all that it can say at once."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from metrics.collectors import documents
from metrics.collectors.framing import MAX_RECORD_BYTES
from metrics.collectors.nvidia import query_xml
from metrics.collectors.readings import Sample
from metrics.collectors.stream import Collector
from tests.collectors.machine import CAPTURES
from tests.faults import hostile_shell

MARKER = "0123456789abcdef" * 2
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MIB = 2**20
# Of the 50 MB by which a keeper may grow; reading one document takes the rest for a moment.
MOST_KEPT, MOST_AT_ONCE = 24 * MIB, 50 * MIB
# One such character in a text makes each of its characters take four bytes.
WIDE = "\U0001f600"
OUTPUTS = "LXDMCRABQK"


def kept(said: Iterator[str]) -> tuple[int, int]:
    """Bytes that a collector holds after this, and held at most."""
    collector = Collector(MARKER)
    gc.collect()
    tracemalloc.start()
    try:
        for one in said:
            collector.feed(one.encode(), NOW, 0.0)
            del one
        gc.collect()
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


def record(line: str) -> str:
    return f"{MARKER}{line}\n"


def open_documents() -> Iterator[str]:
    for tag in OUTPUTS * 2:
        yield record(f"{tag} {WIDE}{'x' * (MAX_RECORD_BYTES - 100)}")


def short_lines() -> Iterator[str]:
    for tag in "LX":
        yield record(f"{tag} x") * (documents.MAX_DOCUMENT_LINES - 1)


def tokens() -> Iterator[str]:
    """Rows of as many fields as are read, none of whose values comes twice."""
    yield record("G?index," + ",".join(f"field{number}" for number in range(255)))
    for number in range(640):
        values = ", ".join(f"{WIDE}{number:04d}{at:04d}{'x' * 50}" for at in range(255))
        yield record(f"G {number % 64}, {values}")


def fields() -> Iterator[str]:
    for tag in "GP":
        yield record(f"{tag}?{WIDE},{'x' * 500_000}")
        yield record(f"{tag}?" + f"{WIDE},{'x' * 3000}," * 300)


def processes() -> Iterator[str]:
    yield record("P?pid,timestamp,gpu_uuid,used_gpu_memory,process_name")
    for pid in range(2000):
        yield record(f"P {pid}, {WIDE}{'t' * 3700}, {WIDE}{'g' * 190}, 5, {WIDE}{'n' * 190}")
    for pid in range(6000):
        yield record(f"U {pid} {'u' * 63} 0::/docker/{pid:064d}")


def slices() -> Iterator[str]:
    yield record("L GPU 0: A (UUID: GPU-0)")
    for number in range(documents.MAX_DOCUMENT_LINES - 300):
        gpu = record(f"L GPU {number // 256}: A (UUID: x)") if number % 256 == 0 else ""
        yield gpu + record(f"L   MIG {WIDE}1g Device {number % 256}: (UUID: {number})")
    yield record("L.0")


def inventory() -> Iterator[str]:
    """An XML document of as many elements as are read, half of them with long names."""
    yield record("X <x><gpu><processes>")
    for pid in range(4900):
        name = f"{WIDE}{'n' * 190}"
        yield record(
            f"X <process_info><pid>{pid}</pid><type>C</type>"
            f"<process_name>{name}</process_name></process_info>"
        )
    yield record("X </processes></gpu></x>") + record("X.0")


def wide_text(tag: str) -> Iterator[str]:
    for _ in range(2):
        yield record(f"{tag} {WIDE}{'x' * (MAX_RECORD_BYTES - 100)}")
    yield record(f"{tag}.0")


def names() -> Iterator[str]:
    for number in range(2100):
        yield record(f'C {{"ID": "{number:0128d}", "Names": "{WIDE}{"n" * 200}"}}')
    yield record("C.0")
    for tag in "DM":
        yield record(f"{tag} head")
        for number in range(300):
            yield record(f"{tag} /dev/x 5 5 5 1% /{WIDE}{number}{'m' * 4000}")
        yield record(f"{tag}.0")
    yield record("N " + f"{WIDE}eth " * 10_000) + record("T " + f"{WIDE}eth 1 " * 10_000)
    for number in range(600):
        yield record(f"I {WIDE}{number}{'p' * 100} {'i' * 60} {'l' * 60}")


def everything() -> Iterator[str]:
    for say in (tokens, fields, processes, slices, inventory, names):
        yield from say()
    yield from wide_text("B")
    yield from wide_text("X")
    yield from open_documents()
    # A record that does not end is held as well.
    yield f"{MARKER}D {'x' * (MAX_RECORD_BYTES - 100)}"


SAYINGS = [open_documents, short_lines, tokens, fields, processes, slices, inventory, names]


@pytest.mark.parametrize("say", [*SAYINGS, everything], ids=lambda say: say.__name__)
def test_what_a_machine_makes_us_keep_is_bounded(say: Callable[[], Iterator[str]]) -> None:
    after, most = kept(say())
    assert after < MOST_KEPT
    assert most < MOST_AT_ONCE


def fed(collector: Collector, *said: str) -> Sample:
    [*_, last] = collector.feed("".join(said).encode(), NOW, 0.0)
    return last


def disks(sample: Sample) -> list[str | None]:
    """What is wrong with them."""
    return [entry.detail for entry in sample.health if entry.source == "disks" and not entry.ok]


def test_what_finds_no_room_beside_others_is_said_until_it_does() -> None:
    collector = Collector(MARKER)
    good = record("D /dev/sda1 100 50 50 50% /") + record("D.0")
    first = fed(collector, *open_documents(), hostile_shell.frame(MARKER, 1, ["eth0"]))
    assert disks(first) == ["the output is too large beside others to be read"]
    ends = [record(f"{tag}.0") for tag in OUTPUTS]
    second = fed(collector, *ends, good, hostile_shell.frame(MARKER, 2, ["eth0"]))
    assert disks(second) == []
    assert [disk.mount for disk in second.disks] == ["/"]


def test_the_whole_inventory_of_64_gpus_fits() -> None:
    """As nvidia-smi prints it, and as the program on the machine passes it on."""
    capture = (CAPTURES / "nvidia-smi-xml" / "h100x8-580.xml").read_text()
    head, *gpus = capture.split("<gpu ")
    gpus[-1], mark, tail = gpus[-1].partition("</nvidia_smi_log>")
    whole = (head + "".join(f"<gpu {gpu}" for gpu in gpus) * 8 + mark + tail).splitlines()
    assert sum(len(line) + 1 for line in whole) < documents.MAX_DOCUMENT_BYTES
    lines = [line for line in whole if is_passed_on(line)]
    said = [record(f"X {line}") for line in lines]
    sample = fed(Collector(MARKER), *said, record("X.0"), hostile_shell.frame(MARKER, 1, ["e"]))
    assert len(sample.gpus) == 64
    assert all(gpu.memory_total_bytes for gpu in sample.gpus)


def is_passed_on(line: str) -> bool:
    """What `xml` in collector.sh keeps: all but the leaves that nobody reads."""
    is_leaf = line.count("<") == 2 and line.count("</") == 1
    return not is_leaf or "_reason" in line or any(f"<{n}>" in line for n in query_xml.LEAVES)
