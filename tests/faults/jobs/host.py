"""A machine whose jobs write down what became of them, and which can be restarted and hurt."""

import os
import signal
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests import sshd
from tests.faults.jobs import PATIENCE_SECONDS, oracle
from tests.jobs.machine import Machine
from tests.waiting import until

# A dead supervisor's last child may still rename what it has written; if there is none, what was
# written stays as it is.
_LAST_WRITE_SECONDS = 3.0


class Host:
    """A real `sshd` with a home folder and a boot id of its own."""

    def __init__(self, directory: Path, address: str, prefix: Sequence[str] = ()) -> None:
        self.home = directory / "home"
        self.home.mkdir(parents=True)
        self.address = address
        self._prefix = prefix
        self._directory = directory
        self._boot_file = directory / "boot_id"
        self._machine = Machine(self.home)
        self._cut: set[str] = set()
        self._killed: set[str] = set()
        self.server = self._boot(None)

    def reboot(self, job_id: str) -> None:
        """All processes end at once; it comes back with another boot id."""
        self.server.stop()
        until(self._is_empty, "every process of the machine is gone", seconds=PATIENCE_SECONDS)
        self._note_cut(job_id)
        self.server = self._boot(self.server.port)

    def mend(self) -> None:
        """Wake it, and start it again where it was given up half-way."""
        if self.server.process.poll() is None:
            self.server.signal_all(signal.SIGCONT)
        else:
            self.server = self._boot(self.server.port)

    def kill_supervisor(self, job_id: str, is_over: Callable[[], bool]) -> None:
        """As soon as there is one; never, once the job `is_over`."""
        if pid := self._pid_in(job_id, "supervisor", is_over):
            _kill(pid)
            half_written = self._machine.jobs / job_id / "exit.new"
            with suppress(AssertionError):
                until(lambda: not half_written.exists(), seconds=_LAST_WRITE_SECONDS)
            self._note_cut(job_id)

    def kill_command(self, job_id: str, is_over: Callable[[], bool]) -> None:
        """As soon as it has begun; never, once the job `is_over`."""
        if pid := self._pid_in(job_id, "started", is_over):
            self._killed.add(job_id)
            _kill(pid)

    def record(self, job_id: str) -> oracle.Record:
        """What it knows of a job."""
        path = self.home / "record"
        starts, code, heard = oracle.read(path.read_text() if path.exists() else "", job_id)
        return oracle.Record(starts, code, heard, job_id in self._cut, job_id in self._killed)

    def log(self, job_id: str) -> bytes:
        """All that it printed."""
        path = self._machine.jobs / job_id / "log"
        return path.read_bytes() if path.exists() else b""

    def close(self) -> None:
        self.server.stop()
        self._machine.clean()

    def _boot(self, port: int | None) -> sshd.Sshd:
        self._boot_file.write_text(f"{uuid.uuid4()}\n")
        environment = {"HOME": str(self.home), "DGXSITE_BOOT_ID": str(self._boot_file)}
        return sshd.start(
            self._directory / "sshd",
            environment=environment,
            port=port,
            address=self.address,
            prefix=self._prefix,
        )

    def _is_empty(self) -> bool:
        self._machine.clean()
        return not self._machine.processes()

    def _note_cut(self, job_id: str) -> None:
        folder = self._machine.jobs / job_id
        if folder.exists() and not (folder / "exit").exists():
            self._cut.add(job_id)

    def _pid_in(self, job_id: str, name: str, is_over: Callable[[], bool]) -> int | None:
        """The process that a job's file names; None when the job is over before there is one."""
        folder = self._machine.jobs / job_id

        def look() -> bool:
            return any((folder / file).exists() for file in (name, "exit")) or is_over()

        until(look, f"{name} of {job_id}", seconds=PATIENCE_SECONDS)
        if not (folder / name).exists() or (folder / "exit").exists():
            return None
        return int((folder / name).read_text().split()[0])


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
