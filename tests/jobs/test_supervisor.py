"""The programs on a machine, under dash, bash and busybox: one start, one record, one end."""

import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.remote import protocol as remote_protocol
from tests.jobs.machine import SHELLS, Machine, make_machine
from tests.waiting import until


@pytest.fixture(params=SHELLS)
def any_machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    made = make_machine(tmp_path / "home", request.param)
    yield made
    made.clean()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = make_machine(tmp_path / "home")
    yield made
    made.clean()


def pid_of(machine: Machine, job_id: uuid.UUID, name: str = "started") -> int:
    return int((machine.jobs / str(job_id) / name).read_text().split()[0])


def test_the_supervisor_is_short_enough_to_be_read() -> None:
    text = (Path(remote_protocol.__file__).parent / "scripts/supervisor.sh").read_text("ascii")
    assert len(text.splitlines()) <= 80


def test_runs_a_command_and_keeps_its_log_and_its_exit_code(any_machine: Machine) -> None:
    job_id = any_machine.start("echo out; echo err >&2; printf '\\000\\377'; exit 7")
    seen = any_machine.ended(job_id)
    assert (seen.exit_code, seen.ending, seen.is_alive) == (7, None, False)
    assert seen.log == b"out\nerr\n\x00\xff"
    assert seen.log_size == len(seen.log)
    assert seen.began_ago is not None
    assert seen.ended_ago is not None
    assert 0 <= seen.ended_ago <= seen.began_ago < 60
    until(lambda: any_machine.processes() == [])


def test_says_who_runs(any_machine: Machine) -> None:
    job_id = any_machine.start("sleep 60")
    seen = any_machine.see(job_id)
    assert (seen.is_here, seen.is_alive, seen.is_supervised) == (True, True, True)
    assert seen.pid == pid_of(any_machine, job_id)
    assert os.getsid(seen.pid) == seen.pid
    assert seen.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_starts_once_however_often_it_is_started(any_machine: Machine) -> None:
    job_id = uuid.uuid4()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: any_machine.start("echo started >>$HOME/oracle", job_id), range(8)))
    assert any_machine.ended(job_id).exit_code == 0
    any_machine.start("echo started >>$HOME/oracle", job_id)
    assert (any_machine.home / "oracle").read_text() == "started\n"
    until(lambda: [path.name for path in any_machine.jobs.iterdir()] == [str(job_id)])


def test_stop_ends_the_whole_group_and_says_so(any_machine: Machine) -> None:
    job_id = any_machine.start("trap 'echo bye; exit 3' TERM; sleep 60 & echo ready; wait")
    until(lambda: any_machine.see(job_id).log == b"ready\n")
    any_machine.stop(job_id)
    seen = any_machine.ended(job_id)
    assert (seen.exit_code, seen.ending, seen.log) == (3, "stop", b"ready\nbye\n")
    until(lambda: any_machine.processes() == [])


def test_what_does_not_listen_is_killed(any_machine: Machine) -> None:
    command = "trap '' TERM; echo ready; sleep 60; sleep 60"
    job_id = any_machine.start(command, limits="100 1000000 1\n")
    until(lambda: any_machine.see(job_id).log)
    any_machine.stop(job_id)
    seen = any_machine.ended(job_id)
    assert (seen.exit_code, seen.ending) == (128 + signal.SIGKILL, "stop")
    until(lambda: any_machine.processes() == [])


def test_kills_also_what_has_a_session_of_its_own(any_machine: Machine) -> None:
    job_id = any_machine.start("setsid sh -c 'trap \"\" TERM; sleep 60; sleep 60' & exit 0")
    assert any_machine.ended(job_id).exit_code == 0
    until(lambda: any_machine.processes() == [])


def test_a_stop_after_the_end_changes_nothing(any_machine: Machine) -> None:
    job_id = any_machine.start("exit 5")
    any_machine.ended(job_id)
    seen = any_machine.stop(job_id)
    assert (seen.exit_code, seen.ending) == (5, None)


def test_a_stop_before_the_start_is_the_end(any_machine: Machine) -> None:
    job_id = uuid.uuid4()
    seen = any_machine.stop(job_id)
    assert (seen.exit_code, seen.ending, seen.pid) == (143, "stop", None)
    any_machine.start("touch $HOME/ran", job_id)
    assert any_machine.see(job_id).pid is None
    assert not (any_machine.home / "ran").exists()


def test_ends_a_job_at_its_time_limit_by_itself(any_machine: Machine) -> None:
    job_id = any_machine.start("sleep 60", limits="100 1 3\n")
    seen = any_machine.ended(job_id)
    assert (seen.exit_code, seen.ending) == (128 + signal.SIGTERM, "time_limit")
    until(lambda: any_machine.processes() == [])


def test_a_signal_is_128_and_its_number(any_machine: Machine) -> None:
    job_id = any_machine.start("sleep 60")
    os.kill(pid_of(any_machine, job_id), signal.SIGKILL)
    seen = any_machine.ended(job_id)
    assert (seen.exit_code, seen.ending) == (137, None)


def test_a_killed_supervisor_leaves_the_job_alive(any_machine: Machine) -> None:
    job_id = any_machine.start("sleep 60; echo done")
    os.kill(pid_of(any_machine, job_id, "supervisor"), signal.SIGKILL)
    seen = any_machine.until(job_id, lambda seen: not seen.is_supervised)
    assert seen.is_alive
    any_machine.stop(job_id)
    until(lambda: not any_machine.see(job_id).is_alive)
    assert any_machine.see(job_id).exit_code is None


def test_another_boot_id_means_that_nothing_lives(any_machine: Machine, tmp_path: Path) -> None:
    boot = tmp_path / "boot"
    boot.write_text("first-boot\n")
    any_machine.environment["DGXSITE_BOOT_ID"] = str(boot)
    job_id = any_machine.start("sleep 60")
    assert any_machine.see(job_id).is_alive
    boot.write_text("second-boot\n")
    seen = any_machine.see(job_id)
    assert (seen.is_alive, seen.is_supervised, seen.boot_id) == (False, False, "first-boot")


def test_the_log_stops_at_its_limit_and_the_job_goes_on(any_machine: Machine) -> None:
    command = "head -c 100000 /dev/zero; echo end >$HOME/end"
    job_id = any_machine.start(command, limits="20 1000000 3\n")
    seen = any_machine.ended(job_id)
    assert seen.exit_code == 0
    assert seen.log == bytes(20 * 512) + b"[the log is full]\n"
    assert (any_machine.home / "end").exists()


def test_reads_the_log_from_an_offset(any_machine: Machine) -> None:
    job_id = any_machine.start("printf 0123456789")
    any_machine.ended(job_id)
    assert any_machine.see(job_id, 3, 4).log == b"3456"
    assert any_machine.see(job_id, 10, 4).log == b""
    assert any_machine.see(job_id, 99, 4).log == b""


HOSTILE = "line one\n$(touch $HOME/evil) `touch $HOME/evil` \"';\\ * ~ –"


def test_nothing_of_a_person_is_ever_read_by_a_shell(any_machine: Machine) -> None:
    folder = any_machine.home / "a b'; touch evil; '\n"
    folder.mkdir()
    job_id = any_machine.start(
        'printf "%s|%s" "$TEXT" "$PWD"',
        folder=str(folder),
        environment="TEXT=" + HOSTILE.replace("\n", " ") + "\n",
    )
    seen = any_machine.ended(job_id)
    assert seen.log.decode() == HOSTILE.replace("\n", " ") + "|" + str(folder)
    assert not list(any_machine.home.rglob("evil"))


def test_a_long_command_is_no_argument(any_machine: Machine) -> None:
    job_id = any_machine.start("true\n" * 40_000 + "echo end")
    assert any_machine.ended(job_id).log == b"end\n"


def test_a_folder_that_is_gone_is_said_in_the_log(any_machine: Machine) -> None:
    job_id = any_machine.start("echo ran", folder="/no/such/folder")
    seen = any_machine.ended(job_id)
    assert seen.exit_code == 126
    assert b"/no/such/folder" in seen.log


def test_a_virtualenv_is_activated_and_a_missing_one_is_an_error(any_machine: Machine) -> None:
    activate = any_machine.home / "venv/bin/activate"
    activate.parent.mkdir(parents=True)
    activate.write_text("WHERE=inside\n")
    job_id = any_machine.start("echo $WHERE", virtualenv="venv")
    assert any_machine.ended(job_id).log == b"\n"  # a variable that is not exported
    activate.write_text("export WHERE=inside\n")
    job_id = any_machine.start("echo $WHERE", virtualenv="venv")
    assert any_machine.ended(job_id).log == b"inside\n"
    job_id = any_machine.start("echo ran", virtualenv="nowhere")
    seen = any_machine.ended(job_id)
    assert seen.exit_code != 0
    assert b"ran" not in seen.log


def test_names_the_job_of_a_process(any_machine: Machine) -> None:
    job_id = any_machine.start("sleep 60")
    pid = pid_of(any_machine, job_id)
    marker = "a" * 32
    launch = remote_protocol.report(marker, [], [pid, os.getpid(), 999_999_999])
    owners = any_machine.run(launch, marker).owners
    assert owners == {pid: job_id, os.getpid(): None, 999_999_999: None}


def test_a_box_that_came_in_part_starts_nothing(any_machine: Machine) -> None:
    job_id, marker = uuid.uuid4(), "b" * 32
    launch = remote_protocol.start(marker, job_id, any_machine.files("touch $HOME/ran"))
    done = any_machine.execute(launch._replace(stdin=launch.stdin[:-3]))
    assert done.returncode != 0
    assert not any_machine.see(job_id).is_here


def test_the_files_of_a_job_are_for_its_user_alone(any_machine: Machine) -> None:
    job_id = any_machine.start("touch $HOME/made; umask")
    seen = any_machine.ended(job_id)
    assert (any_machine.jobs / str(job_id)).stat().st_mode & 0o777 == 0o700
    assert seen.log.strip() == b"0022"
    assert (any_machine.home / "made").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("output", [b"", b"welcome", b"a" * 32 + b" J x\n", b"a" * 32 + b" E\n"])
def test_another_answer_is_unreadable(output: bytes) -> None:
    with pytest.raises(remote_protocol.Unreadable):
        remote_protocol.parse(output, "a" * 32)
