"""The folder of the site where exports lie, and how a file gets there: whole, or not at all.

Everything stays below `DGX_DATA_DIR/exports`. A file that cannot be stored is a `NotStored` with a
sentence for people, and leaves nothing behind.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings

from connections.files import NotStored, Stored
from dgxsite.formats import size

# What has to stay free for the database and the logs that share the disk.
RESERVE_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 256 * 1024

_SENTENCES = {
    errno.ENOSPC: "The site's disk is full.",
    errno.EDQUOT: "The site's quota is used up.",
    errno.EACCES: "The site may not write into its exports folder.",
    errno.EPERM: "The site may not write into its exports folder.",
    errno.EROFS: "The site's exports folder is read-only.",
    errno.ENOTDIR: "The site's exports folder is not a folder.",
    errno.EEXIST: "The site's exports folder is not a folder.",
}

_FOLDERS = {"dual": "dgx-metrics", "range": "ranges"}

Progress = Callable[[int], None]


def folder(kind: str) -> Path:
    """Where files of this kind lie; it need not be there yet."""
    return Path(settings.DATA_DIR) / "exports" / _FOLDERS[kind]


def path_of(kind: str, filename: str) -> Path:
    """The path of a stored file; the name is one that the site itself has made."""
    assert "/" not in filename
    return folder(kind) / filename


def put(kind: str, filename: str, data: bytes, progress: Progress = lambda _: None) -> Stored:
    """Store `data`, put it on the disk and read it back; `NotStored` says why not."""
    with writing(kind, filename, len(data)) as temporary, temporary.open("wb") as file:
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            file.write(piece)
            progress(len(piece))
    path = path_of(kind, filename)
    return Stored(str(path), digest(path))


@contextlib.contextmanager
def writing(kind: str, filename: str, expected_bytes: int = 0) -> Iterator[Path]:
    """A path to write to; afterwards the file bears its name. On any error nothing is left."""
    final = path_of(kind, filename)
    temporary = final.with_name(f".{secrets.token_hex(8)}.part")
    try:
        final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_room(final.parent, expected_bytes)
        yield temporary
        _sync(temporary)
        temporary.replace(final)
    except OSError as error:
        raise NotStored(sentence(error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a file that is only built to be sent; it is gone afterwards."""
    parent = Path(settings.DATA_DIR) / "exports"
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    check_room(parent, 0)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".scratch-") as directory:
        yield Path(directory)


def check_room(directory: Path, wanted_bytes: int) -> None:
    """`NotStored` if the disk would be left with less than the reserve."""
    free = shutil.disk_usage(directory).free
    if free - wanted_bytes < RESERVE_BYTES:
        raise NotStored(
            f"The site's disk is nearly full: {size(free)} are free. Delete exports, or ask an "
            "administrator to make room."
        )


def digest(path: Path) -> str:
    """The SHA-256 of what lies on the disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sentence(error: OSError) -> str:
    """What went wrong with the disk, for people."""
    return _SENTENCES.get(error.errno or 0, f"The site could not store it: {error.strerror}.")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
