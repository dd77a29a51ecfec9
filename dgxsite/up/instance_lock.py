"""One supervisor per data directory, and the end of what a killed one left behind.

`up.lock` is locked (flock) for as long as the supervisor lives; the kernel lets go of it however
that ends. Its text says who holds it. `up.children` lists the processes that were started, by
process id and start time, so that the next supervisor ends those, and never a stranger that was
given the same number since.
"""

import fcntl
import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import IO, NamedTuple

import psutil

from core import embedded

# psutil derives start times from the boot time, which moves when the clock is set.
_CLOCK_TOLERANCE_SECONDS = 2.0
_PATIENCE_SECONDS = 5.0


class Occupied(Exception):
    """Another supervisor runs on this data directory; the text says which."""


class Record(NamedTuple):
    """A child as the next supervisor finds it; `started` in seconds since 1970."""

    pid: int
    started: float
    stop_signal: int


class Occupancy:
    """The lock on a data directory, held until `release` or the end of the process."""

    def __init__(self, data_dir: Path) -> None:
        self._children = data_dir / "up.children"
        self._file = _lock(data_dir)

    def announce(self, address: str) -> None:
        """Say in the lock who runs, for the one who comes second."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"process {os.getpid()}, {address}")
        self._file.flush()

    def remember(self, children: Iterable[tuple[int, int]]) -> None:
        """Write down who lives now, as process id and stop signal; called after each start."""
        records = [Record(pid, began, how) for pid, how in children if (began := _start_of(pid))]
        draft = self._children.with_suffix(".new")
        draft.write_text(json.dumps(records), encoding="ascii")
        draft.replace(self._children)

    def end_leftovers(self) -> int:
        """End what a killed supervisor started; the number of processes that were still there."""
        records = self._records()
        left = [process for record in records for process in _session_of(record)]
        polite = {record.pid: record.stop_signal for record in records}
        for process in left:
            _signal(process, polite.get(process.pid, signal.SIGTERM))
        _, stubborn = psutil.wait_procs(left, timeout=_PATIENCE_SECONDS)
        for process in stubborn:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(stubborn, timeout=_PATIENCE_SECONDS)
        self.forget()
        return len(left)

    def forget(self) -> None:
        """No child is left."""
        self._children.unlink(missing_ok=True)

    def release(self) -> None:
        """Let the next one in."""
        self._file.truncate(0)
        self._file.close()

    def _records(self) -> list[Record]:
        try:
            entries = json.loads(self._children.read_text(encoding="ascii"))
            return [Record(int(pid), float(began), int(how)) for pid, began, how in entries]
        except (OSError, ValueError, TypeError):
            return []


def _lock(data_dir: Path) -> IO[str]:
    embedded.make_private_directory(data_dir)
    file = (data_dir / "up.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise Occupied(f"Already running on {data_dir}: {holder}.") from None
    return file


def _start_of(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _session_of(record: Record) -> list[psutil.Process]:
    """The processes of the session that the child leads, itself included.

    The kernel gives no new process a number that a session still bears, so members that outlived
    their leader are found as well.
    """
    began = _start_of(record.pid)
    if began is not None and abs(began - record.started) > _CLOCK_TOLERANCE_SECONDS:
        return []
    return [process for process in psutil.process_iter() if _is_member(process, record)]


def _is_member(process: psutil.Process, record: Record) -> bool:
    try:
        is_younger = process.create_time() >= record.started - _CLOCK_TOLERANCE_SECONDS
        return is_younger and os.getsid(process.pid) == record.pid
    except (psutil.Error, OSError):
        return False


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        pass
