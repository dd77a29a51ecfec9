"""The text that goes to a machine for its jobs, and what its answers mean. Pure: bytes in and out.

Everything of a person – command, environment, folder – travels as a file whose length is named,
never as part of a command line. What stands in the programs' own text is made here: ids, numbers,
and names of files. The programs are `start.sh`, `report.sh`, `supervisor.sh` and `origin.sh` beside
this file; what they share is `living.sh`.

A job can write into its own record, so each record is read for itself: one that is nonsense, cut or
too slow says so of its job, in `Seen.spoilt` or `Report.unread`, and the others are read on.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from core import cleaner

_SCRIPTS = Path(__file__).resolve().with_name("scripts")
_MARKER = re.compile(r"[0-9a-f]{32}")
# What runs in a job's folder.
_PROGRAMS = ("supervisor.sh", "origin.sh")
# Those that begin with what they share.
_SHARING = ("supervisor.sh", "report.sh")
_FILE_NAME = re.compile(r"[a-z_.]{1,40}")
# `ulimit -f` counts in these.
LOG_BLOCK_BYTES = 512
# What `origin.sh` may write: 64 KiB of packages and a few lines.
ORIGIN_BYTES = 96 * 1024
_LONGEST_AGO = 10 * 366 * 86_400
_BOOT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
# What the files of a job hold, as far as it is told; numbers fit the columns of the database.
_NUMBER = re.compile(r"[0-9]{1,18}")
_STARTED = re.compile(r"[0-9]{1,9} [0-9]{1,18} [0-9A-Za-z_-]{1,64} ([0-9]{1,18}|-)")
_CODE = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[0-9]{1,2})"
_EXIT = re.compile(rf"({_CODE}|-) (stop|kill|time_limit|-) ([0-9]{{1,18}}|-)")
_CONTAINER = re.compile(r"[0-9a-f]{12,64}")
_FILES = frozenset({"folder", "supervisor", "started", "exit", "reason", "container", "log"})
# The line of one job, most of which are words of its own files.
HEADER_BYTES = 1024
TOO_SLOW = "Reading its record took too long."
CUT = "Its record changed while it was read."
_LONGEST_WORDS = 300


class Unreadable(Exception):
    """The machine's answer is not one of our programs'; what it said in its place."""


class Launch(NamedTuple):
    """What to run, and what to write to its stdin."""

    command: str
    stdin: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """The first process of a job as it was seen alive, whatever its files say later."""

    pid: int
    start: int
    boot_id: str

    @property
    def words(self) -> str:
        """As the programs take it; a boot id that is none of a kernel's is not passed on."""
        boot_id = self.boot_id if _BOOT_ID.fullmatch(self.boot_id) else "-"
        return f"{int(self.pid)} {int(self.start)} {boot_id}"


@dataclass(frozen=True, slots=True)
class Ask:
    """One job to report on, with at most `limit` bytes of its log from `offset` on."""

    job_id: UUID
    offset: int = 0
    limit: int = 0
    known: Known | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the machine knows of one job; None for what it has not written down.

    `is_alive`: its first process or others of it live; `is_first_alive`: the first one, of which
    that is certain. `spoilt` names what cannot be read as its supervisor wrote it.
    """

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
    is_first_alive: bool = False
    spoilt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One answer: the machine's boot, its jobs, whose the asked processes are, and what runs began
    from, as far as it is written down. `unread`: why nothing is known of a job this time.
    """

    boot_id: str
    jobs: dict[UUID, Seen]
    owners: dict[int, UUID | None]
    origins: dict[UUID, bytes]
    unread: dict[UUID, str] = field(default_factory=dict)


def report(
    marker: str, asks: Iterable[Ask], pids: Iterable[int] = (), origins: Iterable[UUID] = ()
) -> Launch:
    """Ask for jobs, for the owners of processes, and for what runs began from."""
    lines = _asks(asks) + [f"owner {int(pid)}" for pid in pids]
    lines += [f"origin {UUID(str(job_id))} {ORIGIN_BYTES}" for job_id in origins]
    return _program(marker, lines)


def stop(
    marker: str,
    job_id: UUID,
    asks: Iterable[Ask],
    *,
    kill: bool = False,
    known: Known | None = None,
) -> Launch:
    """End a job, politely or at once, and report."""
    words = ["stop", str(UUID(str(job_id))), "kill" if kill else "stop"]
    if known is not None:
        words.append(known.words)
    ending = f"ending={shlex.quote(_source('supervisor.sh'))}"
    return _program(marker, [ending, " ".join(words), *_asks(asks)])


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
    return [
        f"job {ask.job_id} {int(ask.offset)} {int(ask.limit)} "
        f"{ask.known.words if ask.known is not None else ''}".rstrip()
        for ask in asks
    ]


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
    shared = _source("living.sh") if name in _SHARING else ""
    lines = (_SCRIPTS / name).read_text("ascii").splitlines()
    return shared + "".join(f"{line}\n" for line in lines if not line.startswith("#"))


class _Reader:
    """Reads an answer record by record; what is wrong with one of them ends with it."""

    def __init__(self, output: bytes, marker: str) -> None:
        self._output = output
        self._marker = _checked(marker).encode()
        # What a log that shrank while it was read would make part of itself.
        self._swallowed = re.compile(b"\n" + self._marker + b" [JXPO] ")
        self._at = 0
        self._boot_id: str | None = None
        self._now: int | None = None
        self._report = Report("", {}, {}, {})

    def report(self) -> Report:
        while (record := self._record())[0] != "E":
            kind, fields = record
            begun = self._at
            try:
                self._take(kind, fields)
            except (ValueError, IndexError):
                self._at = begun
                self._note_unread(fields, CUT)
        if not self._boot_id:
            raise self._unreadable()
        return replace(self._report, boot_id=self._boot_id)

    def _record(self) -> tuple[str, list[str]]:
        """The kind and the words of the next line of ours; the rest of a cut record is skipped."""
        at = self._output.find(self._marker, self._at)
        end = self._output.find(b"\n", at)
        if at < 0 or end < 0:
            raise self._unreadable()
        _, *fields = self._output[at:end].decode("ascii", "replace").split(" ")
        self._at = end + 1
        return (fields[0] if fields else ""), fields[1:]

    def _take(self, kind: str, fields: list[str]) -> None:
        if kind == "B":
            self._boot_id, self._now = fields[0], _number(fields[1])
        elif kind == "P":
            self._report.owners[int(fields[0])] = None if fields[1] == "-" else UUID(fields[1])
        elif kind == "O":
            self._report.origins[UUID(fields[0])] = self._bytes(int(fields[1]))
        elif kind == "J":
            self._report.jobs[UUID(fields[0])] = self._seen(fields[1:])
        elif kind == "X":
            self._note_unread(fields, TOO_SLOW)
        else:
            raise ValueError("no record of ours")

    def _note_unread(self, fields: list[str], why: str) -> None:
        """Whose record it was, if that was a job's; a process that cannot be asked is nobody's."""
        with suppress(ValueError, IndexError):
            job_id = UUID(fields[0])
            # A job is asked once: what is cut behind its record is only where it began from.
            if job_id not in self._report.jobs:
                self._report.unread[job_id] = why

    def _seen(self, fields: list[str]) -> Seen:
        here, supervised, alive, *files, names, size, n = fields
        log = self._bytes(int(n))
        spoilt = set(names.split(",")) & _FILES
        pid, start, boot_id, began = _words("started", _STARTED, files[:4], spoilt)
        # An ending without a code is that of a job which is being ended.
        code, ending, ended = _words("exit", _EXIT, files[4:7], spoilt)
        (container_id,) = _words("container", _CONTAINER, files[7:], spoilt)
        return Seen(
            is_here=here == "1",
            is_supervised=supervised == "1",
            is_alive=alive != "0",
            pid=_number(pid),
            start=_number(start),
            boot_id=boot_id,
            exit_code=_number(code),
            ending=ending,
            container_id=container_id,
            log_size=_number(size) or 0,
            log=log,
            began_ago=self._ago(_number(began)),
            ended_ago=self._ago(_number(ended)),
            is_first_alive=alive == "1",
            spoilt=tuple(sorted(spoilt)),
        )

    def _ago(self, then: int | None) -> int | None:
        """None for what is not told, and where the clock was set since."""
        if then is None or self._now is None:
            return None
        ago = self._now - then
        return ago if 0 <= ago <= _LONGEST_AGO else None

    def _bytes(self, count: int) -> bytes:
        """So many bytes and the end of their line; `ValueError` if the record was cut."""
        found = self._output[self._at : self._at + count]
        self._at += count + 1
        is_whole = len(found) == count and self._output[self._at - 1 : self._at] == b"\n"
        if count < 0 or not is_whole or self._swallowed.search(found):
            raise ValueError("what was read was cut")
        return found

    def _unreadable(self) -> Unreadable:
        return Unreadable(cleaner.words(self._output, _LONGEST_WORDS))


def _words(
    name: str, pattern: re.Pattern[str], words: Sequence[str], spoilt: set[str]
) -> list[str | None]:
    """The words of one file, None for "-"; none at all, and the file is spoilt, for nonsense."""
    is_absent = set(words) == {"-"}
    if not is_absent and not pattern.fullmatch(" ".join(words)):
        spoilt.add(name)
        is_absent = True
    return [None if is_absent or word == "-" else word for word in words]


def _number(word: str | None) -> int | None:
    """`ValueError` for what no column can hold."""
    if word is None:
        return None
    if not _NUMBER.fullmatch(word):
        raise ValueError("a number that no machine has")
    return int(word)
