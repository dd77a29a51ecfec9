"""A job that puts anything into its own folder hurts only itself, on dash, bash and busybox."""

import os
import secrets
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.remote import protocol as remote_protocol
from tests.jobs.machine import SHELLS, Machine, make_machine
from tests.waiting import until

NAMES = ("exit", "started", "supervisor", "reason", "container", "log", "origin", "limits")


@pytest.fixture(params=SHELLS)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    made = make_machine(tmp_path / "home", request.param)
    yield made
    made.clean()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    (path / "a/b").mkdir(parents=True)


def full(path: Path) -> None:
    path.mkdir()
    for number in range(3000):
        (path / str(number)).touch()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path)


def nonsense(path: Path) -> None:
    path.write_bytes(b"\xff\x00\x1b[2J $(id) `id` * /proc/* \\x00 -e\r" * 50)


def endless(path: Path) -> None:
    path.write_bytes(b"9" * 3_000_000)


def lines(path: Path) -> None:
    path.write_bytes(b"\n" * 1_000_000)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**30)


SPOILS = (fifo, folder, full, device, loop, nonsense, endless, lines, sparse)


def see_all(machine: Machine, *jobs: uuid.UUID) -> remote_protocol.Report:
    marker = secrets.token_hex(16)
    asks = [remote_protocol.Ask(job, 0, 1000, machine.known.get(job)) for job in jobs]
    return machine.run(remote_protocol.report(marker, asks, (), jobs), marker)


def replace(path: Path, spoil: Callable[[Path], None]) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    spoil(path)


def test_whatever_lies_in_the_place_of_a_record_the_next_job_is_read(machine: Machine) -> None:
    bad, good = machine.start("sleep 600"), machine.start("echo fine; sleep 600")
    machine.until(good, lambda seen: seen.log == b"fine\n")
    assert machine.see(bad).is_first_alive
    at = machine.jobs / str(bad)
    for spoil in SPOILS:
        for name in NAMES:
            replace(at / name, spoil)
        began = time.monotonic()
        report = see_all(machine, bad, good)
        assert time.monotonic() - began < 20
        assert report.jobs[good].log == b"fine\n"
        assert report.jobs[good].spoilt == ()
        if bad in report.unread:  # a gigabyte that is counted byte by byte
            assert spoil is sparse
            continue
        seen = report.jobs[bad]
        assert seen.is_alive
        assert seen.exit_code is None
        if spoil not in (lines, sparse):  # neither ends of lines nor NULs are a word
            assert "exit" in seen.spoilt, spoil
    for name in NAMES:
        replace(at / name, nonsense)
    machine.stop(bad)  # there is a reason already, so this one is taken for the second
    machine.stop(bad, kill=True)
    until(lambda: not machine.see(bad).is_alive)
    assert machine.see(good).is_alive


@pytest.mark.parametrize("spoil", [fifo, device, nonsense])
def test_a_folder_that_is_none(machine: Machine, spoil: Callable[[Path], None]) -> None:
    bad, good = machine.start("sleep 600"), machine.start("sleep 600")
    assert machine.see(bad).is_first_alive
    replace(machine.jobs / str(bad), spoil)
    report = see_all(machine, bad, good)
    assert report.jobs[bad].spoilt == ("folder",)
    assert report.jobs[bad].is_alive
    assert report.jobs[good].is_supervised


def test_an_end_of_the_jobs_own_is_none_and_the_supervisors_is_told(machine: Machine) -> None:
    at = '"$HOME/.dgxsite/jobs/$DGXSITE_JOB_ID"'
    command = (
        f"echo '0 - 1' >{at}/exit; echo said; until [ -e $HOME/go ]; do sleep 0.1; done; exit 3"
    )
    job_id = uuid.uuid4()
    machine.start(command, job_id, environment=f"DGXSITE_JOB_ID={job_id}\n")
    seen = machine.until(job_id, lambda seen: seen.log == b"said\n")
    assert (seen.exit_code, seen.is_alive) == (0, True)
    (machine.home / "go").touch()
    seen = machine.until(job_id, lambda seen: not (seen.is_alive or seen.is_supervised))
    assert seen.exit_code == 3


@pytest.mark.parametrize("spoil", [fifo, folder, full, device, loop])
def test_the_supervisor_writes_the_end_whatever_is_in_its_way(
    machine: Machine, spoil: Callable[[Path], None]
) -> None:
    job_id = machine.start("until [ -e $HOME/go ]; do sleep 0.1; done; exit 4")
    machine.until(job_id, lambda seen: seen.is_first_alive)
    at = machine.jobs / str(job_id)
    for name in ("exit", "exit.new", "reason", "drained"):
        replace(at / name, spoil)
    at.chmod(0o500)
    (machine.home / "go").touch()
    seen = machine.until(job_id, lambda seen: not (seen.is_alive or seen.is_supervised))
    assert seen.exit_code == 4


def test_who_names_another_process_neither_has_it_nor_ends_it(machine: Machine) -> None:
    """Not that of another job, not one of root's, and nobody at all by the number 1."""
    good = machine.start("sleep 600")
    assert machine.see(good).is_first_alive
    bad = machine.start("sleep 600")
    at, other = machine.jobs / str(bad), machine.jobs / str(good)
    init = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    boot = (other / "started").read_text().split()[2]
    for words in ((other / "started").read_text(), f"1 {init} {boot} 5\n"):
        (at / "started").write_text(words)
        seen = machine.see(bad)
        assert not seen.is_first_alive
        assert seen.is_supervised
        (at / "reason").unlink(missing_ok=True)
        machine.stop(bad)
    machine.until(bad, lambda seen: not seen.is_supervised)
    assert machine.see(good).is_alive


def test_who_names_a_process_that_is_gone_still_lives(machine: Machine) -> None:
    """Also without its supervisor, and with an end of its own."""
    bad = machine.start("sleep 600")
    at = machine.jobs / str(bad)
    os.kill(int((at / "supervisor").read_text().split()[0]), signal.SIGKILL)
    for name in ("started", "supervisor"):
        (at / name).write_text("999999 5 some-boot 5\n")
    (at / "exit").write_text("0 - 5\n")
    seen = machine.see(bad)
    assert (seen.is_alive, seen.is_first_alive, seen.exit_code) == (True, False, 0)


def test_what_it_leaves_in_its_session_is_seen_without_its_mark(machine: Machine) -> None:
    bad = machine.start("env -i sleep 600 & echo ready; sleep 600")
    machine.until(bad, lambda seen: seen.log == b"ready\n")
    at = machine.jobs / str(bad)
    os.kill(int((at / "supervisor").read_text().split()[0]), signal.SIGKILL)
    os.kill(machine.known[bad].pid, signal.SIGKILL)
    seen = machine.until(bad, lambda seen: not seen.is_first_alive)
    assert seen.is_alive
    machine.stop(bad)
    until(lambda: not machine.see(bad).is_alive)


def test_a_folder_that_is_gone_hides_no_process(machine: Machine) -> None:
    bad = machine.start("sleep 600")
    assert machine.see(bad).is_first_alive
    shutil.rmtree(machine.jobs / str(bad))
    seen = machine.see(bad)
    assert (seen.is_here, seen.is_alive) == (False, True)


def test_what_hangs_is_ended_and_the_next_job_is_read(machine: Machine) -> None:
    """As a file system of the job's own, which answers nothing: here a program that sleeps."""
    bad, worse, good = (machine.start("sleep 600") for _ in range(3))
    for program in ("wc", "head"):
        path, real = machine.home / "bin" / program, shutil.which(program)
        path.unlink(missing_ok=True)
        path.write_text(
            "#!/bin/bash\ncase $(readlink /proc/$$/fd/0)$* in "
            f"*{bad}*|*{worse}*) sleep 600;; esac\n"
            f'exec {real} "$@"\n'
        )
        path.chmod(0o755)
    began = time.monotonic()
    report = see_all(machine, bad, worse, good)
    assert time.monotonic() - began < 20
    assert report.unread == dict.fromkeys((bad, worse), remote_protocol.TOO_SLOW)
    assert report.jobs[good].is_alive


def test_a_log_that_is_cut_while_it_is_read_is_that_jobs_alone(machine: Machine) -> None:
    bad, good = machine.start("echo 12345678; sleep 600"), machine.start("echo fine; sleep 600")
    for job in (bad, good):
        machine.until(job, lambda seen: bool(seen.log))
    path, real = machine.home / "bin/tail", shutil.which("tail")
    path.unlink(missing_ok=True)
    log = machine.jobs / str(bad) / "log"
    path.write_text(f'#!/bin/sh\n: >{log}\nexec {real} "$@"\n')
    path.chmod(0o755)
    report = see_all(machine, bad, good)
    assert report.unread == {bad: remote_protocol.CUT}
    assert report.jobs[good].log == b"fine\n"


def test_a_stop_does_not_ask_the_jobs_folder_how(machine: Machine) -> None:
    """A job may write into the program that would end it."""
    bad = machine.start("sleep 600")
    assert machine.see(bad).is_first_alive
    (machine.jobs / str(bad) / "supervisor.sh").write_text("exit\n" * 500)
    machine.stop(bad)
    until(lambda: not machine.see(bad).is_alive)
