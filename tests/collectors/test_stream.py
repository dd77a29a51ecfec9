"""From bytes to samples: order, portions, rates, ages, and whatever else may come."""

import json
import os
import random
from datetime import timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.collectors.framing import MAX_RECORD_BYTES
from metrics.collectors.readings import Network, Sample, physical
from metrics.collectors.stream import Collector
from tests.collectors.machine import CAPTURES, MARKER, health
from tests.collectors.streams import ASKED, NOW, document, frame, gpu_row, record, samples

FUZZ_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2000"))
XML = (CAPTURES / "nvidia-smi-xml/a100-sxm4-80g-mig-535.xml").read_text()
BEGIN = record("S 1") + record(ASKED)
EVERYTHING = (
    b"Welcome!\r\n"
    + BEGIN
    + gpu_row(0)
    + gpu_row(1, uuid="GPU-2")
    + frame(1)
    + record("P?pid,timestamp,gpu_uuid,used_gpu_memory,process_name")
    + record("P 42, 2026/01/02 03:04:05.006, GPU-1, 70, train, me.py")
    + record("U 42 alice |0::/system.slice/docker-" + "9f" * 32 + ".scope")
    + document("C", json.dumps({"ID": "9f" * 32, "Names": "trainer"}))
    + document("X", XML)
    + document("D", (CAPTURES / "df/centos7.df.txt").read_text())
    + document("Q", (CAPTURES / "power-supply/thinkpad-bat0.uevent.txt").read_text())
    + document("K", "2400000 2600000")
    + document("R", (CAPTURES / "rocm-smi/rx6700xt-rocm612.json").read_text())
    + record("N eth0")
    + gpu_row(0, utilization=70)
    + gpu_row(1, uuid="GPU-2")
    + frame(2, rx=5000, cpu=350)
)


def test_every_frame_is_a_sample_in_order() -> None:
    first, second = samples(EVERYTHING)
    assert first.cpu.utilization_percent is None
    assert first.networks[0].rx_bytes_per_second is None
    shown = second.as_dict()
    assert shown["recorded_at"] == "2026-01-02T03:04:05.678Z"
    assert shown["cpu"] == {
        "utilization_percent": 20.0,
        "cores": 1,
        "frequency_mhz": 2500.0,
        "load_1m": 0.5,
    }
    assert [gpu["utilization_percent"] for gpu in shown["gpus"]] == [70, 50, 0]
    assert [gpu["index"] for gpu in shown["gpus"]] == [0, 1, 2]
    assert shown["processes"] == [
        {
            "gpu_uuid": "GPU-1",
            "pid": 42,
            "name": "train, me.py",
            "user": "alice",
            "container": "trainer",
            "memory_used_bytes": 70 * 2**20,
        }
    ]
    assert shown["memory"]["pressure_percent"] == 1.25
    assert [disk["mount"] for disk in shown["disks"]] == ["/", "/boot"]
    assert shown["battery"]["level_percent"] == 85
    assert shown["networks"][3]["rx_bytes_per_second"] == 2000.0
    assert [network.interface for network in second.physical_networks()] == ["eth0"]
    assert all(entry["ok"] for entry in shown["health"])
    assert [entry["source"] for entry in shown["health"]] == [
        "nvidia_smi",
        "rocm",
        "proc",
        "disks",
        "network",
        "battery",
        "docker",
    ]


def test_shape_is_the_contracts() -> None:
    shown = samples(EVERYTHING)[-1].as_dict()
    assert set(shown) == {
        *("recorded_at", "gpus", "processes", "cpu", "memory"),
        *("disks", "networks", "battery", "health"),
    }
    assert list(shown["gpus"][0]) == [
        *("index", "uuid", "name", "utilization_percent", "memory_used_bytes"),
        *("memory_total_bytes", "memory_kind", "temperature_c", "power_watts"),
        *("power_limit_watts", "fan_percent", "sm_clock_mhz", "memory_clock_mhz"),
        *("throttle_reasons", "mig"),
    ]
    assert json.loads(json.dumps(shown)) == shown


@settings(max_examples=150, deadline=None)
@given(cuts=st.lists(st.integers(0, len(EVERYTHING)), max_size=40))
def test_portions_do_not_matter(cuts: list[int]) -> None:
    collector = Collector(MARKER)
    found: list[Sample] = []
    edges = [0, *sorted(cuts), len(EVERYTHING)]
    for begin, end in pairwise(edges):
        found += samples(EVERYTHING[begin:end], collector)
    assert found == samples(EVERYTHING)


def test_bytes_may_come_one_by_one() -> None:
    collector = Collector(MARKER)
    found = [
        s for at in range(len(EVERYTHING)) for s in samples(EVERYTHING[at : at + 1], collector)
    ]
    assert found == samples(EVERYTHING)


@settings(max_examples=200, deadline=None)
@given(where=st.integers(1, len(frame(2)) - 2))
def test_a_record_inside_a_frame_is_cut_out(where: int) -> None:
    """A long write that had to wait lets short ones through, anywhere but inside the marker."""
    whole = frame(2)
    where = max(where, len(MARKER))
    torn = whole[:where] + gpu_row(0, utilization=99) + whole[where:]
    collector = Collector(MARKER)
    (first,) = samples(BEGIN + gpu_row(0) + frame(1), collector)
    (second,) = samples(torn, collector)
    assert collector.dropped == 0
    assert second.memory == first.memory
    assert second.gpus[0].utilization_percent == 99


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_survived(data: bytes) -> None:
    collector = Collector(MARKER)
    mark = MARKER.encode()
    for piece in (data, mark + data, data + b"\n", BEGIN + data, mark + b"G " + data + b"\n"):
        samples(piece, collector)
    found = samples(b"\n" + gpu_row(0) + frame(7), collector)
    assert len(found) >= 1


LETTERS = "GPULXDMCRABQKNISFEZ"


@settings(max_examples=300, deadline=None)
@given(
    lines=st.lists(
        st.tuples(st.sampled_from(LETTERS), st.sampled_from(" ?!.-"), st.text(max_size=60)),
        max_size=30,
    )
)
def test_any_records_are_survived(lines: list[tuple[str, str, str]]) -> None:
    collector = Collector(MARKER)
    for tag, kind, text in lines:
        samples(record(tag + kind + text.replace("\n", " ")), collector)
    (sample,) = samples(frame(3), collector)
    json.dumps(sample.as_dict())


@settings(max_examples=300, deadline=None)
@given(tokens=st.lists(st.text(max_size=12) | st.floats().map(str), min_size=14, max_size=14))
def test_percentages_stay_between_zero_and_one_hundred(tokens: list[str]) -> None:
    row = ", ".join(["0", *tokens]).replace("\n", " ")
    (sample,) = samples(BEGIN + record("G " + row) + frame(1))
    for gpu in sample.gpus:
        for value in (gpu.utilization_percent, gpu.fan_percent):
            assert value is None or 0 <= value <= 100
        for amount in (gpu.memory_used_bytes, gpu.power_watts, gpu.sm_clock_mhz):
            assert amount is None or 0 <= amount < 2**60


def test_mutated_streams_are_survived() -> None:
    """A short fuzz run; FUZZ_EXAMPLES makes it longer."""
    chance = random.Random(20260102)
    collector = Collector(MARKER)
    base = BEGIN + gpu_row(0) + document("D", "/dev/sda1 1 1 1 1% /") + frame(1)
    for _ in range(FUZZ_EXAMPLES):
        data = bytearray(base)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 6)] = chance.randbytes(chance.randint(0, 6))
        for sample in samples(bytes(data), collector):
            sample.as_dict()
    # Whatever came before, a whole frame is a sample again.
    assert samples(b"\n" + frame(9), collector)


def test_endless_line_costs_bounded_memory() -> None:
    collector = Collector(MARKER)
    for _ in range(200):
        samples(b"A" * 65536, collector)
        samples(MARKER.encode() + b"X " + b"B" * 65536, collector)
        assert len(collector._framing._buffer) <= MAX_RECORD_BYTES + 2 * 65536
    assert collector.dropped > 0
    assert samples(b"\n" + BEGIN + frame(1), collector)


def test_says_whether_the_program_started() -> None:
    collector = Collector(MARKER)
    samples(b"Last login: yesterday\n" + MARKER[:-1].encode(), collector)
    assert not collector.started
    samples(MARKER[-1:].encode() + b"S 1\n", collector)
    assert collector.started


def test_a_torn_frame_is_dropped_and_counted() -> None:
    collector = Collector(MARKER)
    whole = frame(1)
    assert samples(whole[:200] + b"\n", collector) == []
    assert collector.dropped == 1
    assert len(samples(frame(2), collector)) == 1


# Time.


def test_receipt_is_the_time_of_a_sample_in_utc() -> None:
    berlin = NOW.astimezone(timezone(timedelta(hours=1)))
    (sample,) = Collector(MARKER).feed(frame(1), berlin, 0.0)
    assert sample.as_dict()["recorded_at"] == "2026-01-02T03:04:05.678Z"


def test_rates_follow_the_machines_own_clock() -> None:
    """Frames that were held up and arrive together give the same rates."""
    found = samples(frame(1, rx=0, uptime=10) + frame(2, rx=300, uptime=13))
    assert found[1].networks[3].rx_bytes_per_second == 100


@pytest.mark.parametrize(("rx", "uptime"), [(0, 12.0), (2000, 10.0), (2000, 9.0)])
def test_counters_or_clock_that_go_back_give_no_rate(rx: int, uptime: float) -> None:
    found = samples(frame(1, rx=1000, uptime=10) + frame(2, rx=rx, uptime=uptime))
    assert found[1].networks[3].rx_bytes_per_second is None


# GPUs over time.


def test_a_gpu_that_disappears_is_gone_after_the_next_pass() -> None:
    collector = Collector(MARKER)
    both = gpu_row(0) + gpu_row(1, uuid="GPU-2")
    (two,) = samples(BEGIN + both + both + frame(1), collector)
    assert len(two.gpus) == 2
    found = samples(gpu_row(0) + frame(2) + gpu_row(0) + frame(3), collector)
    assert [gpu.index for gpu in found[-1].gpus] == [0]
    (again,) = samples(both + frame(4), collector)
    assert [gpu.index for gpu in again.gpus] == [0, 1]


def with_rows(number: int, *rows: bytes) -> bytes:
    """A frame with the rows that came since the last one, as the program prints it."""
    gathered = b"".join(b"\r=" + row.removeprefix(MARKER.encode()).rstrip(b"\n") for row in rows)
    return frame(number).replace(b"\rE ", gathered + b"\rE ")


@pytest.mark.parametrize(
    ("second", "shown"),
    [
        ([gpu_row(1, uuid="GPU-2"), gpu_row(0)], [[], [0, 1]]),  # the rest, and the next pass
        ([], [[], [0]]),  # there is only this one
    ],
)
def test_a_frame_in_the_middle_of_the_first_pass_shows_no_part_of_it(
    second: list[bytes], shown: list[list[int]]
) -> None:
    found = samples(BEGIN + with_rows(1, gpu_row(0)) + with_rows(2, *second))
    assert [[gpu.index for gpu in sample.gpus] for sample in found] == shown


def test_as_many_rows_as_the_inventory_has_cards_are_all() -> None:
    known = document("X", (CAPTURES / "nvidia-smi-xml/h100x8-580.xml").read_text())
    rows = [gpu_row(number, uuid=f"GPU-{number}") for number in range(8)]
    first, second = samples(BEGIN + known + with_rows(1, *rows[:3]) + with_rows(2, *rows[3:]))
    assert [len(first.gpus), len(second.gpus)] == [8, 8]
    assert first.gpus[0].name == "NVIDIA H100 80GB HBM3"
    assert second.gpus[7].name == "NVIDIA Card"
    assert len(samples(BEGIN + known + with_rows(1, *rows))[0].gpus) == 8


def test_two_gpus_with_one_uuid_stay_two() -> None:
    (sample,) = samples(BEGIN + (gpu_row(0) + gpu_row(1)) * 2 + frame(1))
    assert [gpu.index for gpu in sample.gpus] == [0, 1]


def test_a_gpu_that_falls_silent_stays_without_live_values() -> None:
    collector = Collector(MARKER)
    samples(BEGIN + gpu_row(0) + frame(1), collector)
    last = [samples(frame(number), collector)[0] for number in range(2, 10)][-1]
    (gpu,) = last.gpus
    assert (gpu.uuid, gpu.memory_total_bytes, gpu.power_limit_watts) == ("GPU-1", 8192 * 2**20, 250)
    assert (gpu.utilization_percent, gpu.temperature_c, gpu.memory_used_bytes) == (None,) * 3
    assert health(last, "nvidia_smi").detail == "no answer"
    (back,) = samples(gpu_row(0) + frame(10), collector)
    assert back.gpus[0].utilization_percent == 50
    assert health(back, "nvidia_smi").ok


def test_xml_stands_in_when_the_query_fails() -> None:
    said = record("G Unknown option") + record("G!")
    collector = Collector(MARKER)
    (sample,) = samples(BEGIN + said + document("X", XML) + frame(1), collector)
    (gpu,) = sample.gpus
    assert (gpu.name, gpu.power_watts) == ("NVIDIA A100-SXM4-80GB", 67.03)
    assert health(sample, "nvidia_smi").ok
    assert health(sample, "nvidia_smi").detail == "Unknown option"


def test_slices_have_names_from_the_list_and_memory_from_the_xml() -> None:
    listed = (
        "GPU 0: A100 (UUID: GPU-513536b6-7d19-9063-b049-1e69664bb298)\n"
        "  MIG 2g.20gb     Device  0: (UUID: MIG-a)\n"
        "  MIG 2g.20gb     Device  1: (UUID: MIG-b)\n"
    )
    (sample,) = samples(BEGIN + document("L", listed) + document("X", XML) + frame(1))
    slice_ = sample.gpus[0].mig[1]
    assert (slice_.index, slice_.uuid, slice_.profile) == (1, "MIG-b", "2g.20gb")
    assert slice_.memory_total_bytes == 19968 * 2**20


def test_many_slices_are_bounded() -> None:
    lines = "".join(f"  MIG 1g Device {i}: (UUID: MIG-{i})\n" for i in range(5000))
    listed = "GPU 0: A100 (UUID: GPU-1)\n" + lines
    (sample,) = samples(BEGIN + document("L", listed) + gpu_row(0) * 2 + frame(1))
    assert len(sample.gpus[0].mig) == 256


def test_processes_that_ended_are_gone() -> None:
    collector = Collector(MARKER)
    asked = record("P?pid,timestamp,gpu_uuid,used_gpu_memory,process_name")
    one = record("P 1, t1, GPU-1, 5, a")
    (first,) = samples(asked + one + record("P 2, t1, GPU-1, 5, b") + frame(1), collector)
    assert [p.pid for p in first.processes] == [1, 2]
    (second,) = samples(frame(2) + record("P 1, t2, GPU-1, 5, a") + frame(3), collector)[1:]
    assert [p.pid for p in second.processes] == [1]
    last = [samples(frame(number), collector)[0] for number in range(4, 12)][-1]
    assert last.processes == ()


def test_rdma_bytes_belong_to_their_interface() -> None:
    ports = "\r".join(
        f"/sys/class/infiniband/mlx5_0/ports/1/counters/port_{name}:{value}"
        for name, value in {
            "rcv_data": 25,
            "xmit_data": 50,
            "rcv_packets": 3,
            "xmit_packets": 4,
        }.items()
    ).encode()
    with_ports = frame(1).replace(b"\rE 1\n", b"\r" + ports + b"\rE 1\n")
    for link, received in (("Ethernet", 1100), ("InfiniBand", 100)):
        (sample,) = samples(record(f"I mlx5_0/1 eth0 {link}") + with_ports)
        assert sample.networks[3].rx_bytes == received


def test_interfaces_are_told_apart_by_name_where_the_machine_does_not() -> None:
    names = ["lo", "eth0", "veth12", "docker0", "br-1", "wlan0"]
    assert [n.interface for n in physical(Network(name) for name in names)] == ["eth0", "wlan0"]


def test_a_frame_of_nothing_is_a_sample_of_nulls() -> None:
    (sample,) = samples(f"{MARKER}F 1\r\rE 1\n".encode())
    assert sample.memory.total_bytes is None
    assert sample.cpu.cores is None
    assert not health(sample, "proc").ok
    assert not health(sample, "network").ok


def test_reads_the_clock_of_a_machine_without_cpufreq() -> None:
    lines = "cpu MHz\t\t: 2500.000\ncpu MHz\t\t: 2300.000"
    (sample,) = samples(document("K", lines) + frame(1))
    assert sample.cpu.frequency_mhz == 2400
