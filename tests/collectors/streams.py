"""Bytes as a collector program prints them, for tests of what the site makes of them."""

from datetime import UTC, datetime

from metrics.collectors.nvidia.query_csv import GPU_FIELDS
from metrics.collectors.readings import Sample
from metrics.collectors.stream import Collector
from tests.collectors.machine import CAPTURES, MARKER

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
ASKED = "G?" + ",".join(GPU_FIELDS)


def record(text: str) -> bytes:
    """One record; the first letter is its tag."""
    return f"{MARKER}{text}\n".encode()


def gpu_row(index: int = 0, *, utilization: object = 50, uuid: str = "GPU-1") -> bytes:
    """A row of the CSV stream."""
    return record(
        f"G {index}, {uuid}, {utilization}, 100, 8192, 40, 30.50, 31.00, 250.00, 20, 1500, 7000, "
        "[N/A], 0x0000000000000004, NVIDIA Card"
    )


def frame(number: int, *, rx: int = 1000, cpu: int = 100, uptime: float | None = None) -> bytes:
    """One frame; each is two seconds after the one before unless told."""
    seconds = 2.0 * number if uptime is None else uptime
    text = (
        f"{seconds:.2f} 10.00\n0.50 0.40 0.30 1/200 4242\n"
        f"cpu  {cpu} 0 0 {1000 * number} 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\n"
        "intr 1 2 3\n"
        + (CAPTURES / "proc-meminfo/gb10-trimmed-a.txt").read_text()
        + "some avg10=1.25 avg60=0.00 avg300=0.00 total=0\n"
        + (CAPTURES / "proc-net-dev/procfs.txt").read_text().replace("874354587", str(rx))
    ).rstrip("\n")
    joined = text.replace("\n", "\r")
    return f"{MARKER}F {number}\r{joined}\rE {number}\n".encode()


def document(tag: str, text: str, status: int = 0) -> bytes:
    """The whole output of a tool."""
    lines = b"".join(record(f"{tag} {line}") for line in text.splitlines())
    return lines + record(f"{tag}.{status}")


def samples(data: bytes, collector: Collector | None = None) -> list[Sample]:
    """What a collector makes of these bytes in one portion."""
    return (collector or Collector(MARKER)).feed(data, NOW, 0.0)
