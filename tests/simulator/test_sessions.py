"""Commands, files, forwarding and logins of a simulated machine, through real clients."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import asyncssh
import pytest

from simulator.fleet import RunningFleet, running
from simulator.machine import MachineSpec
from simulator.processes import processes_of
from tests.simulator import client
from tests.simulator.conftest import Shell


def test_runs_a_command_with_its_own_streams_and_status(shell: Shell) -> None:
    done = shell("cpu-only", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 7)


def test_streams_stdin_of_any_size_and_bytes(shell: Shell) -> None:
    sent = bytes(range(256)) * 8192
    assert shell("cpu-only", "cat", sent).stdout == sent


def test_starts_in_a_private_home(fleet: RunningFleet, shell: Shell) -> None:
    home = fleet["sim-cpu-only"].home
    assert shell("cpu-only", "pwd; echo $HOME").stdout.decode().split() == [str(home)] * 2


def test_shows_nothing_of_the_environment_it_was_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    with running([MachineSpec("sim-a", "cpu-only")], tmp_path) as fleet:
        done = client.run(fleet["sim-a"], fleet.fleet.private_key_path, "env")
    assert b"PATH=" in done.stdout
    assert b"SECRET_OF_THE_HOST" not in done.stdout


async def test_reports_the_signal_that_ended_a_command(fleet: RunningFleet) -> None:
    async with client.connect(fleet["sim-cpu-only"], fleet.fleet.private_key_path) as connection:
        done = await connection.run("kill -9 $$")
    assert done.exit_signal[0] == "KILL"


async def test_hands_signals_to_the_whole_group(fleet: RunningFleet) -> None:
    async with client.connect(fleet["sim-cpu-only"], fleet.fleet.private_key_path) as connection:
        process = await connection.create_process("echo ready; sleep 600; echo never")
        assert await process.stdout.readline() == "ready\n"
        process.send_signal("TERM")
        done = await process.wait(timeout=10)
    assert done.exit_signal[0] == "TERM"


async def test_gives_a_terminal_when_asked(fleet: RunningFleet) -> None:
    async with client.connect(fleet["sim-cpu-only"], fleet.fleet.private_key_path) as connection:
        done = await connection.run(
            "tty; stty size", term_type="xterm", term_size=(101, 33), timeout=10
        )
    name, size = done.stdout.split("\r\n")[:2]
    assert name.startswith("/dev/")
    assert size == "33 101"


async def test_stops_reading_a_command_that_nobody_reads(fleet: RunningFleet) -> None:
    async with client.connect(fleet["sim-cpu-only"], fleet.fleet.private_key_path) as connection:
        process = await connection.create_process("echo $$; exec yes", encoding=None)
        pid = int(await process.stdout.readline())
        # asyncssh stops reading of its own accord when nobody takes what has come.
        written = client.settled(lambda: client.bytes_written(pid))
        assert 0 < written < 32 * 1024 * 1024
        await process.stdout.readexactly(written // 2)
        client.wait_until(lambda: client.bytes_written(pid) > written)
        process.close()


async def test_sftp_begins_in_the_home_and_reaches_absolute_paths(
    fleet: RunningFleet, tmp_path: Path
) -> None:
    machine = fleet["sim-cpu-only"]
    (tmp_path / "elsewhere").write_bytes(b"there")
    async with (
        client.connect(machine, fleet.fleet.private_key_path) as connection,
        connection.start_sftp_client() as sftp,
    ):
        assert await sftp.realpath(".") == str(machine.home)
        async with sftp.open("notes.new", "wb") as file:
            await file.write(b"here")
        await sftp.posix_rename("notes.new", "notes")
        async with sftp.open(str(tmp_path / "elsewhere"), "rb") as file:
            assert await file.read() == b"there"
    assert (machine.home / "notes").read_bytes() == b"here"


@pytest.mark.skipif(shutil.which("sftp") is None, reason="needs OpenSSH's sftp")
def test_openssh_sftp_works(fleet: RunningFleet, tmp_path: Path) -> None:
    machine = fleet["sim-cpu-only"]
    (machine.home / "remote.txt").write_text("text")
    command = client.openssh(machine, fleet.fleet.private_key_path, "sftp")
    done = subprocess.run(
        [*command, "-b", "-", machine.spec.address],
        input=f"get remote.txt {tmp_path}/local.txt\n".encode(),
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done
    assert (tmp_path / "local.txt").read_text() == "text"


async def test_forwards_to_loopback_and_nowhere_else(fleet: RunningFleet) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    machine = fleet["sim-cpu-only"]
    async with client.connect(machine, fleet.fleet.private_key_path) as connection:
        reader, writer = await connection.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.read() == b"hello\n"
        writer.close()
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("192.0.2.1", 80)
    server.close()


async def test_opens_with_a_password_where_one_is_set(tmp_path: Path) -> None:
    with running([MachineSpec("sim-a", "cpu-only", password="open")], tmp_path) as fleet:
        async with client.connect(fleet["sim-a"], None, password="open") as connection:
            assert (await connection.run("echo in")).stdout == "in\n"
        with pytest.raises(asyncssh.PermissionDenied):
            await client.connect(fleet["sim-a"], None, password="wrong")
        assert fleet["sim-a"].journal.logins == 1


async def test_refuses_strangers(fleet: RunningFleet, tmp_path: Path) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    stranger.write_private_key(str(tmp_path / "key"))
    with pytest.raises(asyncssh.PermissionDenied):
        await client.connect(fleet["sim-cpu-only"], tmp_path / "key")
    assert "publickey" in fleet["sim-cpu-only"].journal.auth_attempts


def test_a_fleet_started_again_keeps_ports_and_keys(tmp_path: Path) -> None:
    specs = [MachineSpec("sim-a", "cpu-only"), MachineSpec("sim-b", "cpu-only")]
    with running(specs, tmp_path) as fleet:
        before = fleet.fleet.entries()
        (fleet["sim-a"].home / "kept").touch()
    with running(specs, tmp_path) as fleet:
        assert fleet.fleet.entries() == before
        assert (fleet["sim-a"].home / "kept").exists()
    assert (tmp_path / "client_key").stat().st_mode & 0o777 == 0o600


def test_closing_leaves_no_process(tmp_path: Path) -> None:
    with running([MachineSpec("sim-a", "dgx-spark")], tmp_path) as fleet:
        machine = fleet["sim-a"]
        command = "setsid sleep 600 >/dev/null 2>&1 & nohup sleep 600 >/dev/null 2>&1 & echo ok"
        done = client.run(machine, fleet.fleet.private_key_path, command)
        assert done.stdout == b"ok\n"
        assert len(processes_of(machine.folder)) >= 2
    assert processes_of(machine.folder) == []


@pytest.mark.parametrize(("hangs_up", "is_ended"), [(True, True), (False, False)])
async def test_a_closed_session_ends_its_command_if_the_machine_hangs_up(
    tmp_path: Path, hangs_up: bool, is_ended: bool
) -> None:
    spec = MachineSpec("sim-a", "cpu-only", hangs_up=hangs_up)
    with running([spec], tmp_path) as fleet:
        async with client.connect(fleet["sim-a"], fleet.fleet.private_key_path) as connection:
            process = await connection.create_process("echo $$; exec sleep 600")
            pid = int(await process.stdout.readline())
        if is_ended:
            client.wait_until(lambda: not client.is_alive(pid))
        else:
            # A later command shows that the machine has noticed the end of the first session.
            client.run(fleet["sim-a"], fleet.fleet.private_key_path, "true")
            assert client.is_alive(pid)
