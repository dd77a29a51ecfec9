"""Every fault, as a client sees it."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from simulator import control
from simulator.fleet import Fleet, RunningFleet, running, start
from simulator.machine import Machine, MachineSpec
from tests.simulator import client


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[RunningFleet]:
    """One machine with a GPU, for one test to break."""
    with running([MachineSpec("sim-a", "rtx")], tmp_path) as fleet:
        yield fleet


@pytest.fixture
def machine(broken: RunningFleet) -> Machine:
    return broken["sim-a"]


@pytest.fixture
def key(broken: RunningFleet) -> Path:
    return broken.fleet.private_key_path


def banner(machine: Machine, seconds: float) -> bytes | None:
    """The first bytes of a new connection; `None` for silence."""
    with socket.create_connection(("127.0.0.1", machine.port), 5) as connection:
        connection.settimeout(seconds)
        try:
            return connection.recv(64)
        except TimeoutError:
            return None


async def test_a_frozen_machine_stalls_old_sessions_and_greets_nobody(
    broken: RunningFleet, machine: Machine, key: Path
) -> None:
    async with client.connect(machine, key) as connection:
        process = await connection.create_process("cat")
        process.stdin.write("before\n")
        assert await process.stdout.readline() == "before\n"
        broken.apply("sim-a", "freeze")
        process.stdin.write("held\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.stdout.readline(), 0.5)
        assert banner(machine, 0.5) is None
        broken.apply("sim-a", "thaw")
        assert await asyncio.wait_for(process.stdout.readline(), 5) == "held\n"


@pytest.mark.parametrize(("fault", "error"), [("drop", b""), ("reset", ConnectionResetError)])
def test_links_are_ended_or_reset(
    broken: RunningFleet, machine: Machine, fault: str, error: object
) -> None:
    with socket.create_connection(("127.0.0.1", machine.port), 5) as connection:
        connection.settimeout(5)
        assert connection.recv(64).startswith(b"SSH-2.0-")
        broken.apply("sim-a", fault)
        if isinstance(error, bytes):
            assert connection.recv(64) == error
        else:
            with pytest.raises(ConnectionResetError):
                connection.recv(64)
    assert (banner(machine, 5) or b"").startswith(b"SSH-2.0-")


def test_a_closed_port_refuses_and_opens_again(
    broken: RunningFleet, machine: Machine, key: Path
) -> None:
    port = machine.port
    broken.apply("sim-a", "refuse")
    with pytest.raises(ConnectionRefusedError):
        banner(machine, 5)
    broken.apply("sim-a", "heal")
    assert machine.port == port
    assert client.run(machine, key, "true").returncode == 0


def test_a_silent_or_foreign_server_gives_no_ssh_banner(
    broken: RunningFleet, machine: Machine
) -> None:
    broken.apply("sim-a", "no_banner")
    assert banner(machine, 0.4) is None
    broken.apply("sim-a", "wrong_banner", text="HTTP/1.1 400\r\n")
    assert banner(machine, 5) == b"HTTP/1.1 400\r\n"


def test_a_slow_line_carries_so_many_bytes_a_second(
    broken: RunningFleet, machine: Machine, key: Path
) -> None:
    broken.apply("sim-a", "slow", bytes_per_second=20_000)
    begun = time.monotonic()
    done = client.run(machine, key, "head -c 20000 /dev/zero")
    assert len(done.stdout) == 20_000
    assert time.monotonic() - begun > 0.9


async def test_another_host_key_is_shown_until_healed(
    broken: RunningFleet, machine: Machine, key: Path
) -> None:
    trusted = asyncssh.import_known_hosts(f"[127.0.0.1]:{machine.port} {machine.host_key_line}\n")
    fingerprint = machine.host_key_fingerprint
    broken.apply("sim-a", "change_host_key")
    assert machine.host_key_fingerprint != fingerprint
    attempts = len(machine.journal.auth_attempts)
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await asyncssh.connect(
            "127.0.0.1", machine.port, known_hosts=trusted, client_keys=[str(key)], config=None
        )
    assert len(machine.journal.auth_attempts) == attempts
    broken.apply("sim-a", "heal")
    assert machine.host_key_fingerprint == fingerprint


def test_logins_are_refused_until_healed(broken: RunningFleet, machine: Machine, key: Path) -> None:
    broken.apply("sim-a", "refuse_login")
    assert client.run(machine, key, "true").returncode == 255
    broken.apply("sim-a", "heal")
    assert client.run(machine, key, "true").returncode == 0


def test_an_unusable_shell_says_so(broken: RunningFleet, machine: Machine, key: Path) -> None:
    broken.apply("sim-a", "nologin")
    done = client.run(machine, key, "echo secret")
    assert done.returncode == 1
    assert done.stdout == b"This account is currently not available.\n"


def test_a_tool_fails_in_the_driver_s_words_and_recovers(
    broken: RunningFleet, machine: Machine, key: Path
) -> None:
    broken.apply("sim-a", "tool_fails")
    done = client.run(machine, key, "nvidia-smi -L")
    assert done.returncode == 9
    assert done.stdout.startswith(b"NVIDIA-SMI has failed because it couldn't communicate")
    broken.apply("sim-a", "heal")
    assert client.run(machine, key, "nvidia-smi -L").returncode == 0


def test_a_tool_hangs_prints_garbage_or_is_away(
    broken: RunningFleet, machine: Machine, key: Path
) -> None:
    broken.apply("sim-a", "tool_garbage")
    assert b"\xff\xfe\x00" in client.run(machine, key, "nvidia-smi").stdout
    broken.apply("sim-a", "tool_garbage", endless=True)
    assert len(client.run(machine, key, "nvidia-smi | head -c 300000").stdout) == 300_000
    broken.apply("sim-a", "tool_hangs")
    assert client.run(machine, key, "timeout 0.5 nvidia-smi").returncode == 124
    broken.apply("sim-a", "heal")
    broken.apply("sim-a", "tool_missing")
    assert client.run(machine, key, "nvidia-smi").returncode == 127
    broken.apply("sim-a", "heal")
    assert client.run(machine, key, "nvidia-smi -L").returncode == 0


async def test_a_lost_gpu_shows_in_a_running_query_and_fails_a_new_one(
    broken: RunningFleet, machine: Machine, key: Path
) -> None:
    query = "nvidia-smi --query-gpu=index,utilization.gpu --format=csv,noheader -lms 100"
    async with client.connect(machine, key) as connection:
        process = await connection.create_process(query)
        assert "%" in await process.stdout.readline()
        broken.apply("sim-a", "lose_gpu", index=1)
        while "1, [GPU is lost]" not in await asyncio.wait_for(process.stdout.readline(), 5):
            pass
    done = client.run(machine, key, "nvidia-smi")
    assert done.returncode == 15
    assert b"GPU is lost. Reboot the system" in done.stdout


def test_a_reboot_ends_everything_and_changes_the_boot_id(
    broken: RunningFleet, machine: Machine, key: Path
) -> None:
    read = "cat /proc/sys/kernel/random/boot_id"
    start = "setsid sh -c 'echo $$ >pid; exec sleep 600' >/dev/null 2>&1 &"
    before = client.run(machine, key, f"{start} {read}").stdout
    client.wait_until((machine.home / "pid").is_file)
    broken.apply("sim-a", "reboot", down_seconds=0.1)
    after = client.run(machine, key, f"{read}; cut -d. -f1 /proc/uptime").stdout.split()
    assert after[0] + b"\n" != before
    assert int(after[1]) < 60
    assert not client.is_alive(int((machine.home / "pid").read_text()))


def test_one_frozen_machine_does_not_touch_another(tmp_path: Path) -> None:
    specs = [MachineSpec("sim-a", "cpu-only"), MachineSpec("sim-b", "cpu-only")]
    with running(specs, tmp_path) as fleet:
        fleet.apply("sim-a", "freeze")
        assert client.run(fleet["sim-b"], fleet.fleet.private_key_path, "true").returncode == 0


def test_unknown_faults_and_options_are_refused(broken: RunningFleet) -> None:
    with pytest.raises(KeyError):
        broken.apply("sim-a", "explode")
    with pytest.raises(TypeError):
        broken.apply("sim-a", "freeze", degrees=-20)


async def test_faults_happen_over_the_control_socket(tmp_path: Path) -> None:
    # As deep as a socket's own path could not be.
    folder = tmp_path / ("deep" * 20) / ("deeper" * 15)
    async with start([MachineSpec("sim-a", "cpu-only")], folder) as fleet, control.listening(fleet):
        await asyncio.to_thread(control.send, folder, "sim-a", "slow", bytes_per_second=500)
        assert _wire_speed(fleet) == 500
        await asyncio.to_thread(control.send, folder, "sim-a", "heal")
        assert _wire_speed(fleet) is None
        with pytest.raises(RuntimeError, match="KeyError"):
            await asyncio.to_thread(control.send, folder, "sim-b", "freeze")


def _wire_speed(fleet: Fleet) -> float | None:
    return fleet["sim-a"].wire.bytes_per_second
