"""One file put onto a machine over SFTP: whole under its name, or not there at all.

It is written under a temporary name beside the final one, put on the disk, read back and compared,
and renamed. No shell takes part, so no name can act as a command. Whatever goes wrong is a
`NotStored` with a sentence for people; a temporary file is removed unless the link is gone.
"""

import contextlib
import errno
import hashlib
import posixpath
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from connections import ssh
from connections.models import Connection
from connections.ssh import targets
from connections.ssh.sftp import Sftp
from core import cleaner
from core.errors import Invalid
from core.schemas import printable

LOGIN_SECONDS = 15.0
TRANSFER_SECONDS = 120.0
# A machine that takes nothing and says nothing for so long is frozen.
STILL_SECONDS = 15.0
PIECE_BYTES = 256 * 1024
_LONGEST_PATH = 1024
_LONGEST_NAME_BYTES = 255
# What the row of an export holds.
LONGEST_DETAIL = 500
# Less than this is left: that is why the write was refused.
_FULL_BYTES = 1024 * 1024

Progress = Callable[[int], None]


class NotStored(Exception):
    """The file is not on the machine; `detail` says why in a sentence."""

    def __init__(self, detail: str) -> None:
        self.detail = cleaner.line(detail, LONGEST_DETAIL)
        super().__init__(self.detail)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the file lies, and the digest of what was read back from there."""

    path: str
    sha256: str


def check_directory(text: str, field: str) -> str:
    """`text` if it is `/…`, `~` or `~/…` without `..`; `Invalid` otherwise."""
    try:
        printable(text)
    except ValueError as error:
        raise Invalid.field(field, str(error)) from error
    if not re.match(r"/|~(/|$)", text) or len(text) > _LONGEST_PATH:
        raise Invalid.field(field, "Give a folder as /… or ~/…, of at most 1024 characters.")
    parts = text.split("/")
    if ".." in parts or any(len(part.encode()) > _LONGEST_NAME_BYTES for part in parts):
        raise Invalid.field(field, "A folder has no “..”, and each name at most 255 bytes.")
    return text


def put(
    connection: Connection,
    directory: str,
    name: str,
    data: bytes,
    *,
    progress: Progress = lambda _: None,
) -> Stored:
    """Log in for this one file and store it in `directory`, which is made if it is missing.

    `progress` hears how many bytes were sent; what it raises ends the transfer. Never call this
    inside a transaction.
    """
    try:
        with ssh.open_session(targets.target_of(connection), timeout=LOGIN_SECONDS) as session:
            return put_over(session, directory, name, data, progress=progress)
    except ssh.ConnectError as error:
        raise NotStored(f"The machine was not reached: {error.detail}") from error


def put_over(
    session: ssh.Session,
    directory: str,
    name: str,
    data: bytes,
    *,
    timeout: float = TRANSFER_SECONDS,
    progress: Progress = lambda _: None,
) -> Stored:
    """The same over a session that is open; past `timeout` seconds that session is closed, and
    after `STILL_SECONDS` without progress.
    """
    try:
        with session.sftp(timeout=timeout, still=STILL_SECONDS) as sftp:
            folder = _folder(sftp, directory)
            return _store(sftp, folder, name, data, progress)
    except ssh.StoodStill as error:
        raise NotStored(_stood_still()) from error
    except ssh.SessionLost as error:
        if "subsystem" in str(error) or "Channel closed" in str(error):
            raise NotStored("The machine offers no SFTP.") from error
        raise NotStored("The link to the machine broke.") from error


def _folder(sftp: Sftp, directory: str) -> str:
    """The absolute path of `directory`, with every missing part made."""
    if directory == "~" or directory.startswith("~/"):
        home = sftp.normalize(".") or ""
        if not home.startswith("/") or len(home) > _LONGEST_PATH or not home.isprintable():
            raise NotStored("The machine gives no usable home folder; name one that starts with /.")
        directory = posixpath.join(home, directory[2:])
    path = "/"
    for part in directory.split("/"):
        path = posixpath.join(path, part)
        _make(sftp, path)
    return posixpath.normpath(path)


def _make(sftp: Sftp, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        sftp.stat(path)
        return
    try:
        sftp.mkdir(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            sftp.stat(path)  # somebody else has just made it
            return
        raise NotStored(
            _sentence(sftp, error, posixpath.dirname(path), "make a folder in")
        ) from error


def _store(sftp: Sftp, folder: str, name: str, data: bytes, progress: Progress) -> Stored:
    final = posixpath.join(folder, name)
    temporary = posixpath.join(folder, f".{secrets.token_hex(8)}.part")
    try:
        _write(sftp, temporary, data, progress)
        digest = _digest(sftp, temporary, len(data))
        if digest != hashlib.sha256(data).hexdigest():
            raise NotStored("What the machine stored is not what was sent.")
        _rename(sftp, temporary, final)
    except OSError as error:
        sentence = _sentence(sftp, error, folder, "write in")
        _remove(sftp, temporary)
        raise NotStored(sentence) from error
    except BaseException:
        _remove(sftp, temporary)
        raise
    return Stored(final, digest)


def _write(sftp: Sftp, path: str, data: bytes, progress: Progress) -> None:
    """Send all pieces without waiting for each answer; the last one waits for all of them."""
    starts = range(0, max(1, len(data)), PIECE_BYTES)
    with sftp.open(path, "wx") as file:
        for start in starts:
            # Paramiko looks at the answers only in a write that is not pipelined.
            file.set_pipelined(start != starts[-1])
            piece = data[start : start + PIECE_BYTES]
            file.write(piece)
            progress(len(piece))
        sftp.sync(file)


def _digest(sftp: Sftp, path: str, size: int) -> str:
    digest = hashlib.sha256()
    with sftp.open(path, "r") as file:
        if size:
            sftp.ask_ahead(file, size)
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _rename(sftp: Sftp, temporary: str, final: str) -> None:
    """Atomic where the server knows how; else a rename that refuses to overwrite."""
    try:
        sftp.posix_rename(temporary, final)
    except FileNotFoundError:
        raise
    except OSError:
        sftp.rename(temporary, final)


def _remove(sftp: Sftp, path: str) -> None:
    """The deadline has closed the link, or the file was never made: then there is nothing to do."""
    try:
        sftp.remove(path)
    except Exception:  # noqa: BLE001 (the error that brought us here is the one to tell)
        return


def _sentence(sftp: Sftp, error: OSError, folder: str, action: str) -> str:
    if sftp.stillness.is_over:
        return _stood_still()
    if sftp.is_closed:
        return "The link to the machine broke."
    if error.errno == errno.EACCES:
        return f"The user may not {action} {folder}."
    if error.errno == errno.ENOENT:
        return f"{folder} is not a folder, or it is gone."
    free = sftp.free_bytes(folder)
    if free is not None and free < _FULL_BYTES:
        return f"The disk of the machine is full: {free // 1024} KiB are free in {folder}."
    return f"The machine refused to {action} {folder}: it is read-only, or a quota is used up."


def _stood_still() -> str:
    return f"The machine stood still: nothing moved for {STILL_SECONDS:g} s."
