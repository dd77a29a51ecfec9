"""Files on the site's own disk: whole under their name, or not there at all.

Everything but an export of the site's own machine stays below `DGX_DATA_DIR/exports`. A file that
cannot be stored is a `NotStored` with a sentence for people, and leaves nothing behind.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings

from connections.files.upload import NotStored, Stored
from core.formats import size

# What has to stay free for the database and the logs that share the disk.
RESERVE_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 256 * 1024
SCRATCH = ".scratch-"
PART = ".part"

# SQLite's own words for a disk that takes no more; it does not say which of errno's.
_OF_THE_DISK = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_SENTENCES = {
    errno.ENOSPC: "The disk of the site is full.",
    errno.EDQUOT: "The quota of the site is used up.",
    errno.EACCES: "The site may not write into {}.",
    errno.EPERM: "The site may not write into {}.",
    errno.EROFS: "{} is read-only.",
    errno.ENOTDIR: "{} is not a folder.",
    errno.EEXIST: "{} is not a folder.",
}

Progress = Callable[[int], None]


def folder(name: str = "") -> Path:
    """The exports folder, or one in it; it need not be there yet."""
    return Path(settings.DATA_DIR) / "exports" / name


def put(path: Path, data: bytes, progress: Progress = lambda _: None) -> Stored:
    """Store `data` at `path`, put it on the disk and read it back; `NotStored` says why not.

    `progress` hears how many bytes were written; what it raises ends it.
    """
    with _writing(path, len(data)) as temporary, temporary.open("xb") as file:
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            file.write(piece)
            progress(len(piece))
        file.flush()
        os.fsync(file.fileno())
    return Stored(str(path), digest(path))


@contextlib.contextmanager
def _writing(final: Path, expected_bytes: int) -> Iterator[Path]:
    """A path to write to; afterwards the file bears its name. On any error nothing is left."""
    temporary = final.with_name(f".{secrets.token_hex(8)}{PART}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_room(final.parent, expected_bytes)
        yield temporary
        temporary.replace(final)
    except OSError as error:
        raise NotStored(sentence(error, final.parent)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a file that is only built to be sent; it is gone afterwards.

    What the disk refuses meanwhile is a `NotStored`, also where SQLite was told.
    """
    parent = folder()
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_room(parent, 0)
        with tempfile.TemporaryDirectory(dir=parent, prefix=SCRATCH) as directory:
            yield Path(directory)
    except OSError as error:
        raise NotStored(sentence(error, parent)) from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _OF_THE_DISK:
            raise
        raise NotStored(_SENTENCES[errno.ENOSPC]) from error


def check_room(directory: Path, wanted_bytes: int) -> None:
    """`NotStored` if the disk would be left with less than the reserve."""
    free = shutil.disk_usage(directory).free
    if free - wanted_bytes < RESERVE_BYTES:
        raise NotStored(
            f"The disk of the site is nearly full: {size(free)} are free. Delete exports, or ask "
            "an administrator to make room."
        )


def digest(path: Path) -> str:
    """The SHA-256 of what lies on the disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sentence(error: OSError, directory: Path) -> str:
    """What went wrong with the disk, for people."""
    form = _SENTENCES.get(error.errno or 0, "The site could not store it: {reason}.")
    return form.format(directory, reason=error.strerror)
