"""The text that goes to a machine for its jobs, and what its answers mean. Pure: bytes in and out.

Everything of a person – command, environment, folder – travels as a file whose length is named,
never as part of a command line. What stands in the programs' own text is made here: ids, numbers,
and names of files. The programs are `start.sh`, `report.sh`, `supervisor.sh` and `origin.sh` beside
this file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from dgxsite import cleaner

_HERE = Path(__file__).resolve().parent
_MARKER = re.compile(r"[0-9a-f]{32}")
# What runs in a job's folder.
_PROGRAMS = ("supervisor.sh", "origin.sh")
_FILE_NAME = re.compile(r"[a-z_.]{1,40}")
# `ulimit -f` counts in these.
LOG_BLOCK_BYTES = 512
# What `origin.sh` may write: 64 KiB of packages and a few lines.
ORIGIN_BYTES = 96 * 1024
# What a column of the database holds.
_LARGEST, _LARGEST_LONG = 2**31 - 1, 2**62
_LONGEST_AGO = 10 * 366 * 86_400
_LONGEST_WORDS = 300


class Unreadable(Exception):
    """The machine's answer is not one of our programs'; what it said in its place."""


class Launch(NamedTuple):
    """What to run, and what to write to its stdin."""

    command: str
    stdin: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """One job to report on, with at most `limit` bytes of its log from `offset` on."""

    job_id: UUID
    offset: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the machine knows of one job; None for what it has not written down."""

    is_here: bool
    is_supervised: bool
    is_alive: bool
    pid: int | None
    start: int | None
    boot_id: str | None
    exit_code: int | None
    ending: str | None
    container_id: str | None
    log_size: int
    log: bytes
    # Seconds before the report, by the machine's own clock, whatever the site's says.
    began_ago: int | None = None
    ended_ago: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One answer: the machine's boot, its jobs, whose the asked processes are, and what runs began
    from, as far as it is written down.
    """

    boot_id: str
    jobs: dict[UUID, Seen]
    owners: dict[int, UUID | None]
    origins: dict[UUID, bytes]


def report(
    marker: str, asks: Iterable[Ask], pids: Iterable[int] = (), origins: Iterable[UUID] = ()
) -> Launch:
    """Ask for jobs, for the owners of processes, and for what runs began from."""
    lines = _asks(asks) + [f"owner {int(pid)}" for pid in pids]
    lines += [f"origin {UUID(str(job_id))} {ORIGIN_BYTES}" for job_id in origins]
    return _program(marker, lines)


def stop(marker: str, job_id: UUID, asks: Iterable[Ask], *, kill: bool = False) -> Launch:
    """End a job, politely or at once, and report."""
    reason = "kill" if kill else "stop"
    return _program(marker, [f"stop {UUID(str(job_id))} {reason}", *_asks(asks)])


def start(marker: str, job_id: UUID, files: Mapping[str, bytes]) -> Launch:
    """Put the files of a job there, start it unless it was started before, and report.

    Raises `ValueError` for a file name that is not ours.
    """
    files = {**files, **{name: _source(name).encode("ascii") for name in _PROGRAMS}}
    names = [name for name in files if not _FILE_NAME.fullmatch(name)]
    if names:
        raise ValueError(f"not a file of a job: {names}")
    takes = [f"take {name} {len(data)}" for name, data in files.items()]
    lines = [*takes, f"launch {job_id}", _source("report.sh"), f"job {job_id} 0 0", "finished"]
    program = (_source("start.sh") + "\n".join(lines) + "\n").replace("@MARKER@", _checked(marker))
    box = program.encode("ascii") + b"".join(files.values())
    new = f"new.{job_id}.{marker[:12]}"
    # The whole box or nothing: an rc file may have eaten its beginning, a link may have gone.
    command = (
        "exec sh -c 'mask=$(umask); umask 077; cd && mkdir -p .dgxsite/jobs && cd .dgxsite/jobs "
        f"&& mkdir {new} && cd {new} && cat >box && [ $(wc -c <box) -eq {len(box)} ] "
        f"&& head -c {len(program)} box >program && . ./program'"
    )
    return Launch(command, box)


def parse(output: bytes, marker: str) -> Report:
    """Read an answer; whatever an rc file prints around it is skipped. Raises `Unreadable`."""
    return _Reader(output, marker).report()


def _asks(asks: Iterable[Ask]) -> list[str]:
    return [f"job {ask.job_id} {int(ask.offset)} {int(ask.limit)}" for ask in asks]


def _program(marker: str, calls: Iterable[str]) -> Launch:
    lines = [_source("report.sh").replace("@MARKER@", _checked(marker)), *calls, "finished"]
    stdin = f"# {marker}\n" + "\n".join(lines) + f"\n# {marker}\n"
    # In two halves: a shell that echoes its command line must not look like the program.
    half = f'"# {marker[:16]}"*"{marker[16:]}"'
    command = f"exec sh -c 'umask 077; p=$(cat); case $p in {half}) eval \"$p\";; esac'"
    return Launch(command, stdin.encode("ascii"))


def _checked(marker: str) -> str:
    if not _MARKER.fullmatch(marker):
        raise ValueError("the marker must be 32 lower-case hexadecimal digits")
    return marker


@lru_cache
def _source(name: str) -> str:
    """One of the programs without its comments."""
    lines = (_HERE / name).read_text("ascii").splitlines()
    return "".join(f"{line}\n" for line in lines if not line.startswith("#"))


class _Reader:
    def __init__(self, output: bytes, marker: str) -> None:
        self._output = output
        self._marker = _checked(marker).encode()
        self._at = output.find(self._marker)
        self._now: int | None = None

    def report(self) -> Report:
        boot_id: str | None = None
        jobs: dict[UUID, Seen] = {}
        owners: dict[int, UUID | None] = {}
        origins: dict[UUID, bytes] = {}
        while True:
            kind, fields = self._record()
            if kind == "E":
                break
            try:
                if kind == "B":
                    boot_id, self._now = fields[0], _number(fields[1], _LARGEST_LONG)
                elif kind == "P":
                    owners[int(fields[0])] = None if fields[1] == "-" else UUID(fields[1])
                elif kind == "O":
                    origins[UUID(fields[0])] = self._bytes(int(fields[1]))
                else:
                    jobs[UUID(fields[0])] = self._seen(fields[1:])
            except (ValueError, IndexError) as error:
                raise self._unreadable() from error
        if not boot_id:
            raise self._unreadable()
        return Report(boot_id, jobs, owners, origins)

    def _record(self) -> tuple[str, list[str]]:
        end = self._output.find(b"\n", self._at)
        if self._at < 0 or end < 0:
            raise self._unreadable()
        marker, *fields = self._output[self._at : end].decode("ascii", "replace").split(" ")
        if marker.encode() != self._marker or not fields or fields[0] not in "BJPOE":
            raise self._unreadable()
        self._at = end + 1
        return fields[0], fields[1:]

    def _seen(self, fields: list[str]) -> Seen:
        here, supervised, alive, pid, start, boot, began, *fields = fields
        code, reason, ended, container, size, n = fields
        log = self._bytes(int(n))
        return Seen(
            here == "1",
            supervised == "1",
            alive == "1",
            _number(pid, _LARGEST),
            _number(start, _LARGEST_LONG),
            _word(boot),
            _number(code, _LARGEST),
            _word(reason),
            _word(container),
            _number(size, _LARGEST_LONG) or 0,
            log,
            self._ago(began),
            self._ago(ended),
        )

    def _ago(self, field: str) -> int | None:
        """None for what is not told, and where the clock was set since."""
        then = _number(field, _LARGEST_LONG)
        if then is None or self._now is None:
            return None
        ago = self._now - then
        return ago if 0 <= ago <= _LONGEST_AGO else None

    def _bytes(self, count: int) -> bytes:
        """So many bytes and the end of their line."""
        found = self._output[self._at : self._at + count]
        self._at += count + 1
        if len(found) != count or self._output[self._at - 1 : self._at] != b"\n":
            raise ValueError("what was read was cut")
        return found

    def _unreadable(self) -> Unreadable:
        return Unreadable(cleaner.words(self._output, _LONGEST_WORDS))


def _word(field: str) -> str | None:
    return None if field == "-" else field


def _number(field: str, largest: int) -> int | None:
    """None for "-"; `ValueError` for what no column can hold."""
    if field == "-":
        return None
    number = int(field)
    if not 0 <= number <= largest:
        raise ValueError("a number that no machine has")
    return number
