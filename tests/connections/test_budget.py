"""A machine that costs too much is not read any more, and nobody else notices."""

import time

from connections.keeper import budget as keeper_budget
from connections.keeper.budget import CpuBudget
from connections.ssh import reader as ssh_reader


def test_an_ordinary_machine_never_spends_its_share() -> None:
    spent = CpuBudget(now=0.0)
    assert all(spent.spend(0.02, now=float(second)) for second in range(1, 3600))


def test_a_burst_is_allowed_once() -> None:
    spent = CpuBudget(now=0.0)
    assert spent.spend(keeper_budget.BURST_SECONDS, now=0.0)
    assert not spent.spend(0.2, now=1.0)
    assert spent.spend(0.2, now=60.0)


def test_more_than_a_share_for_long_is_too_much() -> None:
    spent = CpuBudget(now=0.0)
    went_on = [spent.spend(0.3, now=float(second)) for second in range(60)]
    assert went_on[0]
    assert not went_on[-1]


class _Channel:
    """As much of Paramiko's channel as the drain uses; it always has something."""

    exit_status = -1
    closed = False
    eof_received = False

    def __init__(self) -> None:
        self.in_buffer = self.in_stderr_buffer = self
        self.reads = 0

    def set_event(self, event: object) -> None:
        self.event = event

    def recv(self, nbytes: int) -> bytes:
        self.reads += 1
        return b"x"

    def recv_ready(self) -> bool:
        return True

    def recv_stderr_ready(self) -> bool:
        return False

    def recv_stderr(self, nbytes: int) -> bytes:
        return b""

    def send(self, data: bytes) -> bool:
        return True

    def close(self) -> None:
        self.closed = True

    hang_up = close


def test_a_stream_beyond_its_budget_is_read_no_more_while_others_are() -> None:
    reading = ssh_reader.StreamReader(lambda: None)
    slow, good = _Channel(), _Channel()
    spent: list[float] = []

    def burn(data: bytes) -> None:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass

    def spend(seconds: float) -> bool:
        spent.append(seconds)
        return len(spent) < 3

    for channel, on_data, told in (
        (slow, burn, spend),
        (good, lambda data: None, ssh_reader.unlimited),
    ):
        reading.watch(channel, on_data=on_data, on_close=lambda status: None, spend=told)
    reading.start()
    try:
        deadline = time.monotonic() + 60
        while good.reads < 8 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        reading.stop()
    assert slow.reads == 3
    assert min(spent) >= 0.04
    assert good.reads >= 8
