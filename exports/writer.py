"""Make one export: build the file, store it here and on the machine at once, write what came of it.

The two sides run in threads that know no database; this one writes their progress into the row
about twice a second and reads from it whether somebody has cancelled. A side that fails never stops
the other. Blocks for as long as the slower side takes: never call it inside a transaction.
"""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from django.utils import timezone

from connections.files import folders, upload
from connections.files.upload import NotStored, Stored
from connections.models import Connection, Transport
from core import cleaner
from core.web.waiting import outside_database
from exports import content, storage
from exports.content import File
from exports.models import Export, Kind, State

logger = logging.getLogger(__name__)

REMOTE_DIRECTORY = "~/projects/exports"
LOOK_SECONDS = 0.5
# What a side that was stopped says.
CANCELLED = "It was cancelled."

# What is written at the end; a wish to cancel that comes meanwhile is not overwritten.
_OUTCOME = (
    *("local_ok", "local_error", "local_sha256"),
    *("remote_ok", "remote_error", "remote_sha256", "remote_path"),
    *("state", "finished_at", "bytes_done"),
)

# By name of the side, "local" or "remote": where the file lies, or why not.
Outcomes = Mapping[str, Stored | str]


class Cancelled(Exception):
    """Somebody does not want it any more."""


class _Progress:
    """How many bytes both sides have stored, and the wish to stop, shared by the threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_stopped = False
        self.bytes_done = 0

    def add(self, count: int) -> None:
        if self._is_stopped:
            raise Cancelled
        with self._lock:
            self.bytes_done += count

    def stop(self) -> None:
        self._is_stopped = True


def make(export: Export) -> None:
    """Do the work of a row that `Export.begin` has claimed; afterwards its state is final."""
    sides = ("local", "remote") if export.kind == Kind.DUAL else ("local",)
    try:
        file = content.build(export, timezone.now())
    except Exception:
        logger.exception("export=%s: the file could not be made", export.pk)
        _finish(
            export, dict.fromkeys(sides, "The file could not be made; the site's log says why.")
        )
        return
    _announce(export, file, len(sides))
    _finish(export, _store(export, file, sides))


def _announce(export: Export, file: File, sides: int) -> None:
    export.filename, export.rows = file.name, file.rows
    export.size_bytes = len(file.data)
    export.bytes_total = len(file.data) * sides
    export.save(update_fields=["filename", "rows", "size_bytes", "bytes_total"])


def _store(export: Export, file: File, sides: tuple[str, ...]) -> Outcomes:
    progress = _Progress()
    # What the threads need of the row is read before they start: they touch no database.
    work = {"local": _store_here, "remote": _store_there}
    with ThreadPoolExecutor(len(sides)) as pool:
        started = {
            side: pool.submit(work[side], export, export.connection, file, progress)
            for side in sides
        }
        _follow(export, progress, list(started.values()))
        return {side: _outcome(export, future) for side, future in started.items()}


def _follow(export: Export, progress: _Progress, futures: list[Future[Stored]]) -> None:
    """Until both sides have ended: tell how far they are, and hear whether to stop."""
    while _are_still_busy(futures):
        if not export.is_wanted(progress.bytes_done):
            progress.stop()


@outside_database()
def _are_still_busy(futures: list[Future[Stored]]) -> bool:
    return bool(wait(futures, timeout=LOOK_SECONDS).not_done)


def _store_here(export: Export, connection: Connection, file: File, progress: _Progress) -> Stored:
    return storage.put(export.path, file.data, progress.add)


def _store_there(export: Export, connection: Connection, file: File, progress: _Progress) -> Stored:
    directory = export.remote_directory or REMOTE_DIRECTORY
    if connection.transport == Transport.LOCAL:
        return storage.put(_here(directory) / file.name, file.data, progress.add)
    return upload.put(connection, directory, file.name, file.data, progress=progress.add)


def _here(directory: str) -> Path:
    """A folder of the site's own machine, made below the roots of the settings; or `NotStored`."""
    try:
        return Path(folders.here(directory, create=True))
    except folders.NoFolder as error:
        raise NotStored(error.detail) from error


def _outcome(export: Export, future: Future[Stored]) -> Stored | str:
    try:
        return future.result()
    except NotStored as error:
        return error.detail
    except Cancelled:
        return CANCELLED
    except Exception:
        logger.exception("export=%s: one side failed", export.pk)
        return "It failed; the site's log says why."


def _finish(export: Export, outcomes: Outcomes) -> None:
    """Write both sides. One that is there makes it done; the other says its reason."""
    for side, outcome in outcomes.items():
        is_stored = isinstance(outcome, Stored)
        setattr(export, f"{side}_ok", is_stored)
        setattr(export, f"{side}_error", "" if is_stored else cleaner.line(str(outcome), 500))
        setattr(export, f"{side}_sha256", outcome.sha256 if isinstance(outcome, Stored) else "")
    remote = outcomes.get("remote")
    export.remote_path = remote.path if isinstance(remote, Stored) else ""
    export.state = _state(outcomes)
    export.finished_at = timezone.now()
    export.bytes_done = sum(isinstance(one, Stored) for one in outcomes.values()) * (
        export.size_bytes or 0
    )
    export.save(update_fields=_OUTCOME)


def _state(outcomes: Outcomes) -> State:
    if CANCELLED in outcomes.values():
        return State.CANCELLED
    is_stored = any(isinstance(outcome, Stored) for outcome in outcomes.values())
    return State.DONE if is_stored else State.FAILED
