"""Recordings, and the light machines that play them."""

import asyncio
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from simulator import fleet, light, recording
from simulator.machine import MachineSpec
from simulator.recording import Recording

MARKER = "0123456789abcdef" * 2
ROUND_SECONDS = 0.4
# A program in the manner of a collector: it is told its marker, and counts its frames.
PROGRAM = """
n=0
echo "$m hello"
while n=$((n+1)); do
printf '%sF %d\\nload %d\\n%sE %d\\n' $m $n $n $m $n
sleep 0.1
done
"""


def launch(marker: str) -> tuple[str, bytes]:
    return "exec sh", f"m={marker}\n{PROGRAM}".encode()


def chunks(frames: range) -> list[tuple[float, bytes]]:
    lines = "{m}F {n}\nvalue {n}\n{m}E {n}\n"
    return [(n * 0.1, lines.format(m=MARKER, n=n).encode()) for n in frames]


@pytest.fixture
def played() -> Recording:
    return recording.arrange(chunks(range(6)), MARKER.encode(), 0.2, ROUND_SECONDS)


def test_a_recording_is_cut_into_opening_and_round(played: Recording) -> None:
    assert [round(event.after_seconds, 3) for event in played.opening] == [0.0, 0.1]
    assert [round(event.after_seconds, 3) for event in played.round] == [0.0, 0.1, 0.2, 0.3]


def test_marker_and_frame_numbers_are_replaced_and_nothing_else(played: Recording) -> None:
    first = played.round[0]
    assert first.render(b"M", 0) == b"MF 2\nvalue 2\nME 2\n"
    assert first.render(b"M", 3) == b"MF 14\nvalue 2\nME 14\n"
    assert played.opening[1].render(b"M", 3) == b"MF 1\nvalue 1\nME 1\n"


def test_a_number_that_does_not_count_frames_stays() -> None:
    pieces = [(0.1 * n, f"{MARKER}T {n * n}\n".encode()) for n in range(4)]
    kept = recording.arrange(pieces, MARKER.encode(), 0.0, ROUND_SECONDS)
    assert kept.round[3].render(b"M", 5) == b"MT 9\n"


def test_chunks_that_came_together_are_played_together() -> None:
    pieces = [(0.1, b"a"), (0.101, b"b"), (0.3, b"c")]
    kept = recording.arrange(pieces, MARKER.encode(), 0.0, ROUND_SECONDS)
    assert [event.render(b"", 0) for event in kept.round] == [b"ab", b"c"]


def test_silence_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        recording.arrange([], MARKER.encode(), 0.0, ROUND_SECONDS)


def test_a_recording_survives_its_file(played: Recording, tmp_path: Path) -> None:
    recording.save(played, tmp_path / "recording.json")
    assert recording.load(tmp_path / "recording.json") == played


async def test_a_real_program_is_recorded_and_played_on(tmp_path: Path) -> None:
    async with fleet.start([MachineSpec("sim-a", "cpu-only")], tmp_path / "full") as full:
        kept = await recording.record(
            full["sim-a"],
            full.private_key_path,
            launch,
            opening_seconds=0.25,
            round_seconds=ROUND_SECONDS,
        )
    async with light.start(1, tmp_path / "light", kept, spread_seconds=0.1) as machines:
        marker = secrets.token_hex(16)
        async with _connect(machines.entries[0]) as connection:
            process = await connection.create_process(launch(marker)[0])
            process.stdin.write(launch(marker)[1].decode())
            frames: list[str] = []
            while len(frames) < 12:
                line = await asyncio.wait_for(process.stdout.readline(), 5)
                frames += re.findall(rf"^{marker}F (\d+)$", line)
    numbers = [int(number) for number in frames]
    # The seam of the round may fall within a frame; the numbers still only grow.
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


@pytest.fixture
def machines(tmp_path: Path, played: Recording) -> Iterator[light.LightFleet]:
    answers = (light.Answer("^cat ", b"MemTotal: 1 kB\n" * 200), *light.ANSWERS)
    with light.running(200, tmp_path, played, answers=answers, spread_seconds=0.1) as machines:
        yield machines


async def test_two_hundred_machines_answer_at_once(machines: light.LightFleet) -> None:
    assert len({entry["port"] for entry in machines.entries}) == 200

    async def greet(entry: dict[str, Any]) -> str:
        async with _connect(entry) as connection:
            return str((await connection.run("echo ok")).stdout)

    assert set(await asyncio.gather(*map(greet, machines.entries))) == {"ok\n"}
    assert machines.journal.logins == 200


async def test_other_commands_are_answered_from_the_table(machines: light.LightFleet) -> None:
    async with _connect(machines.entries[7]) as connection:
        assert (await connection.run("id")).stdout.startswith("uid=")
        assert len((await connection.run("cat /proc/meminfo; nvidia-smi")).stdout) == 3000
        assert (await connection.run("uptime", stdin=asyncssh.DEVNULL)).exit_status == 127
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", 22)


async def test_each_session_is_played_with_its_own_marker(machines: light.LightFleet) -> None:
    async with _connect(machines.entries[0]) as connection:
        markers = [secrets.token_hex(16) for _ in range(2)]
        processes = [await connection.create_process(f"exec sh {marker}") for marker in markers]
        for marker, process in zip(markers, processes, strict=True):
            assert await asyncio.wait_for(process.stdout.readline(), 5) == f"{marker}F 0\n"
        processes[0].stdin.write_eof()
        assert (await processes[0].wait(timeout=5)).exit_status == 0


async def test_machines_stand_on_addresses_of_their_own(tmp_path: Path, played: Recording) -> None:
    async with light.start(3, tmp_path, played, many_addresses=True) as machines:
        kept = json.loads((tmp_path / "fleet.json").read_text())["machines"]
        assert [entry["hostname"] for entry in kept] == ["127.0.1.1", "127.0.1.2", "127.0.1.3"]
        async with _connect(machines.entries[2]) as connection:
            assert (await connection.run("echo ok")).stdout == "ok\n"


def _connect(entry: dict[str, Any]) -> Any:
    return asyncssh.connect(
        entry["hostname"],
        entry["port"],
        username="sim",
        client_keys=[entry["private_key_path"]],
        known_hosts=None,
        config=None,
        agent_path=None,
    )
