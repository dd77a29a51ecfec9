"""What one machine may bring in a sample and over time; what is left out is in its health."""

from datetime import UTC, datetime

from metrics.collectors import stream
from metrics.collectors.linux import network, proc
from metrics.collectors.nvidia import feed
from metrics.collectors.readings import Sample
from tests.faults import hostile_shell

MARKER = "0123456789abcdef" * 2
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def last(kind: str, portions: int) -> Sample:
    """The newest sample of a hostile machine of that kind."""
    collector = stream.Collector(MARKER)
    samples: list[Sample] = []
    saying = hostile_shell.KINDS[kind][0](MARKER)
    for _, portion in zip(range(portions), saying, strict=False):
        samples += collector.feed(portion.encode(), NOW, 0.0)
    return samples[-1]


def wrong(sample: Sample, source: str) -> str:
    return next(e.detail or "" for e in sample.health if e.source == source and not e.ok)


def test_interfaces_that_change_all_the_time() -> None:
    sample = last("interfaces", 4)
    assert sample.networks == ()
    assert f"more than {network.MAX_NAMES} names" in wrong(sample, "network")
    assert len(last("interfaces", 1).networks) == proc.MAX_INTERFACES


def test_more_interfaces_than_are_kept() -> None:
    names = [f"veth{number}" for number in range(700)]
    collector = stream.Collector(MARKER)
    (sample,) = collector.feed(hostile_shell.frame(MARKER, 1, names).encode(), NOW, 0.0)
    assert len(sample.networks) == proc.MAX_INTERFACES
    assert wrong(sample, "network") == "512 of 700 interfaces are shown"


def test_thousands_of_users() -> None:
    sample = last("users", 2)
    assert len(sample.processes) == feed.MAX_APPS
    named = {process.user for process in sample.processes} - {None}
    assert len(named) <= feed.MAX_NAMES
    assert wrong(sample, "nvidia_smi") == "1024 of 4096 compute processes are kept"


def test_users_that_change_all_the_time() -> None:
    collector = stream.Collector(MARKER)
    asked = "P?pid,timestamp,gpu_uuid,used_gpu_memory,process_name"
    seen: set[str | None] = set()
    for number in range(1, 41):
        rows = [f"P {pid}, t{number}, GPU-1, 5, a" for pid in range(1, 33)]
        owners = [f"U {pid} user{pid}-{number} 0::/" for pid in range(1, 33)]
        data = hostile_shell.records(MARKER, asked, *rows, *owners)
        data += hostile_shell.frame(MARKER, number, ["eth0"])
        (sample,) = collector.feed(data.encode(), NOW, 0.0)
        seen |= {process.user for process in sample.processes}
    assert len(seen - {None}) == feed.MAX_NAMES
    assert "counted as not known" in wrong(sample, "nvidia_smi")


def test_documents_without_end_and_of_nothing_but_elements() -> None:
    assert "too many elements" in wrong(last("empty_elements", 1), "nvidia_smi")
    assert "too large" in wrong(last("endless_xml", 60), "nvidia_smi")


def test_a_good_machine_is_whole_again() -> None:
    """What was refused is said no longer than until the next good output."""
    collector = stream.Collector(MARKER)
    bad = "".join(f"{MARKER}D {'x' * 60_000}\n" for _ in range(40)) + f"{MARKER}D.0\n"
    good = f"{MARKER}D /dev/sda1 100 50 50 50% /\n{MARKER}D.0\n"
    (first,) = collector.feed((bad + hostile_shell.frame(MARKER, 1, ["e"])).encode(), NOW, 0.0)
    assert "too large" in wrong(first, "disks")
    (second,) = collector.feed((good + hostile_shell.frame(MARKER, 2, ["e"])).encode(), NOW, 0.0)
    assert [disk.mount for disk in second.disks] == ["/"]
    assert all(entry.ok for entry in second.health if entry.source == "disks")
