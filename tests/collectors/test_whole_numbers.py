"""Whatever numbers a machine prints: they end in JSON, or are left out and said."""

from datetime import UTC, datetime
from uuid import uuid4

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.collectors.readings import MAX_WHOLE, Sample
from metrics.collectors.stream import Collector
from metrics.history.window import encode, reading_of
from metrics.live.sessions import Sessions, since
from tests.faults import hostile_shell

MARKER = "0123456789abcdef" * 2
NOW = datetime(2026, 1, 2, tzinfo=UTC)
DIGITS = st.one_of(
    st.sampled_from(["0", "1", str(MAX_WHOLE), str(2**63), str(2**64 - 1), "9" * 20, "9" * 21]),
    st.integers(0, 10**22).map(str),
)
PORT = "/sys/class/infiniband/mlx5_0/ports/1/counters/port_"


def say(draw: st.DrawFn, number: int) -> str:
    """Everything that a machine may tell between two frames, and the frame, of any numbers."""

    def n() -> str:
        return draw(DIGITS)

    supplies = [
        line
        for at in range(draw(st.sampled_from([1, 64])))
        for line in (
            f"POWER_SUPPLY_NAME=B{at}",
            "POWER_SUPPLY_TYPE=Battery",
            "POWER_SUPPLY_STATUS=Discharging",
            f"POWER_SUPPLY_CAPACITY={n()}",
            f"POWER_SUPPLY_ENERGY_NOW={'9' * draw(st.integers(1, 16))}",
            f"POWER_SUPPLY_POWER_NOW={draw(st.sampled_from(['0', '1', '99999']))}",
        )
    ]
    gpu = f'{{"gpu": {n()}, "mem_usage": {{"used_vram": {n()}, "total_vram": {n()}}}}}'
    xml = (
        f"<x><gpu><fb_memory_usage><used>{n()} MiB</used></fb_memory_usage><mig_devices>"
        f"<mig_device><index>{n()}</index></mig_device></mig_devices><processes><process_info>"
        f"<pid>{n()}</pid><type>C</type><used_memory>{n()} MiB</used_memory></process_info>"
        "</processes></gpu></x>"
    )
    lines = [
        "G?index,memory.used,memory.total,clocks_event_reasons.active",
        f"G {n()}, {n()}, {n()}, 0x{n()}",
        "P?pid,used_gpu_memory",
        f"P {n()}, {n()}",
        f"U {n()} user 0::/",
        *(f"Q {line}" for line in supplies),
        "Q.0",
        f"D /dev/sda1 {n()} {n()} {n()} 1% /",
        "D.0",
        f"K {n()}",
        "K.0",
        f"A [{gpu}]",
        "A.0",
        f"X {xml}",
        "X.0",
        f"L GPU {n()}: A100 (UUID: x)",
        "L.0",
        "I mlx5_0/1 eth0 " + draw(st.sampled_from(["Ethernet", "InfiniBand"])),
    ]
    counters = [" ".join([n(), n(), *["0"] * 6, n(), n(), *["0"] * 6]) for _ in range(2)]
    files = [
        f"{draw(st.sampled_from([number, f'0.{number:018d}']))} 1.0",
        f"{n()} 0.1 0.1 1/2 3",
        f"cpu  {n()} {n()} {n()} {n()}",
        f"MemTotal: {n()} kB",
        f"MemAvailable: {n()} kB",
        f"SwapTotal: {n()} kB",
        "Inter-| Receive",
        " face |bytes",
        *(f"eth{at}: {told}" for at, told in enumerate(counters)),
        *(f"{PORT}{way}_{what}:{n()}" for way in ("rcv", "xmit") for what in ("data", "packets")),
    ]
    frame = f"{MARKER}F {number}\r" + "\r".join(files) + f"\rE {number}\n"
    return hostile_shell.records(MARKER, *lines) + frame


@st.composite
def sayings(draw: st.DrawFn) -> list[str]:
    return [say(draw, number) for number in range(1, draw(st.integers(2, 6)))]


@settings(max_examples=40, deadline=None)
@given(said=sayings())
def test_every_number_ends_in_json(said: list[str]) -> None:
    collector, sessions, machine = Collector(MARKER), Sessions(), uuid4()
    for one in said:
        [sample] = collector.feed(one.encode(), NOW, 0.0)
        orjson.dumps(sample.as_dict())
        encode(reading_of(sample))
        sessions.note(machine, collector, sample)
        began = orjson.loads(sessions.due([machine])[machine])
        carried = since(began, [network.as_dict() for network in sample.networks])
        orjson.dumps(carried)
        totals = [total for of in carried["networks"].values() for total in of.values()]
        assert all(total is None or total <= MAX_WHOLE for total in totals)


def frame(number: int, received: str, *ports: str) -> str:
    counters = f"{received} 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0"
    files = [f"{number}.0 1.0", "Inter-| Receive", " face |bytes", f"eth0: {counters}", *ports]
    return f"{MARKER}F {number}\r" + "\r".join(files) + f"\rE {number}\n"


def fed(*said: str) -> Sample:
    collector = Collector(MARKER)
    return collector.feed("".join(said).encode(), NOW, 0.0)[-1]


@pytest.mark.parametrize("received", [str(2**63), "9" * 20])
def test_a_counter_beyond_64_bits_is_absent_and_said(received: str) -> None:
    sample = fed(frame(1, received))
    assert (sample.networks[0].rx_bytes, sample.networks[0].rx_packets) == (None, 1)
    assert wrong(sample) == "counters of eth0 beyond 2^63-1 are left out"


def test_the_greatest_counter_is_told() -> None:
    sample = fed(frame(1, str(MAX_WHOLE)))
    assert sample.networks[0].rx_bytes == MAX_WHOLE
    assert all(entry.ok for entry in sample.health if entry.source == "network")


@pytest.mark.parametrize("link", ["Ethernet", "InfiniBand"])
def test_a_port_whose_bytes_leave_64_bits_is_said_too(link: str) -> None:
    """Their counters are in units of four bytes."""
    port = hostile_shell.records(MARKER, f"I mlx5_0/1 eth0 {link}")
    sample = fed(port, frame(1, "5", f"{PORT}rcv_data:{2**62}", f"{PORT}xmit_data:3"))
    assert sample.networks[0].rx_bytes is None
    assert sample.networks[0].tx_bytes == (13 if link == "Ethernet" else 12)
    assert "eth0 beyond 2^63-1" in wrong(sample)


def test_a_rate_needs_two_counters() -> None:
    sample = fed(frame(1, "9" * 20), frame(2, "10"))
    assert sample.networks[0].rx_bytes_per_second is None
    assert sample.networks[0].tx_bytes_per_second == 0


def wrong(sample: Sample) -> str:
    return next(e.detail or "" for e in sample.health if e.source == "network" and not e.ok)
