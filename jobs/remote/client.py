"""One exchange with a machine: a program of ours goes there, its answer comes back."""

import secrets
from collections.abc import Iterable, Sequence
from uuid import UUID

from connections import ssh
from connections.keeper.link import Link
from core import cleaner
from jobs.remote import protocol

REPORT_SECONDS = 15.0
START_SECONDS = 40.0
LOG_BYTES_PER_REPORT = 2 * 2**20
_HEADERS_BYTES = 256 * 1024
_LONGEST_WORDS = 300


def report(
    link: Link, asks: Sequence[protocol.Ask], pids: Iterable[int], origins: Sequence[UUID] = ()
) -> protocol.Report:
    """What the machine knows of these jobs, and what those of `origins` began from.

    Raises as `Session.run`, and `protocol.Unreadable`.
    """
    marker = _marker()
    launch = protocol.report(marker, asks, pids, origins)
    limit = LOG_BYTES_PER_REPORT + len(origins) * protocol.ORIGIN_BYTES + _HEADERS_BYTES
    limit += len(asks) * protocol.HEADER_BYTES
    result = _run(link, launch, REPORT_SECONDS, limit)
    return protocol.parse(result.stdout, marker)


def start(link: Link, job_id: UUID, files: dict[str, bytes]) -> str | None:
    """Start a job unless the machine has it; why the machine did not take it, None if it did."""
    result = _run(link, protocol.start(_marker(), job_id, files), START_SECONDS, _HEADERS_BYTES)
    if not result.exit_status:
        return None
    return _last_line(result.stderr) or "The machine did not take the job's files."


def stop(link: Link, job_id: UUID, *, kill: bool, known: protocol.Known | None = None) -> None:
    """End a job, politely or at once; `known` is its first process, if that was seen alive."""
    launch = protocol.stop(_marker(), job_id, [], kill=kill, known=known)
    _run(link, launch, REPORT_SECONDS, _HEADERS_BYTES)


def _run(link: Link, launch: protocol.Launch, seconds: float, limit: int) -> ssh.CommandResult:
    if link.session is None:
        raise ssh.SessionLost("this machine has no SSH session")
    return link.session.run(launch.command, stdin=launch.stdin, timeout=seconds, limit=limit)


def _marker() -> str:
    return secrets.token_hex(16)


def _last_line(stderr: bytes) -> str:
    """What a machine said last, made harmless."""
    return cleaner.words(stderr.strip().rpartition(b"\n")[2], _LONGEST_WORDS)
