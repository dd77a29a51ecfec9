"""A look into one folder of a machine over SFTP: what is in it, and the bytes of its files.

Reads only, and never outside of the folder: every path is resolved by the machine first, so that a
link is followed only where it stays inside. Names are bytes, whatever they are. `Refused` is the
machine's answer in a sentence, `NotReached` (`connections.files.folders`) that nobody could be
asked.
"""

import errno
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from connections import ssh
from connections.files.folders import NotReached
from connections.models import Connection, Reason, Transport
from connections.ssh import targets
from connections.ssh.sftp import Sftp
from core import cleaner

LOGIN_SECONDS = 10.0
LOOK_SECONDS = 20.0
# Of a folder with more, these are read and shown; OpenSSH sends a hundred at a time.
MOST_ENTRIES = 20_000
# Paramiko asks for these pieces at once; together they are all that is in memory.
_REQUEST_BYTES = 32 * 1024
# Beside these a machine still answers, or is just being asked.
_NO_TROUBLE = frozenset({"", Reason.STALE})
_KINDS = ((stat.S_ISDIR, "directory"), (stat.S_ISREG, "file"), (stat.S_ISLNK, "link"))


# Characters of a sentence that may name two paths.
LONGEST_DETAIL = 5000


class Refused(Exception):
    """It cannot be shown; `detail` says why in a sentence."""

    def __init__(self, detail: str) -> None:
        self.detail = cleaner.line(detail, LONGEST_DETAIL)
        super().__init__(self.detail)


@dataclass(frozen=True, slots=True)
class Entry:
    """`kind` is `directory`, `file`, `link` or `other`; `mode` reads as `drwxr-x---`."""

    name: bytes
    kind: str
    size: int | None
    modified_at: datetime | None
    mode: str


@dataclass(frozen=True, slots=True)
class Folder:
    """What is in a folder, in no order; `is_cut` when there is more than `MOST_ENTRIES`."""

    path: bytes
    entries: list[Entry]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """A log-in for a few looks."""

    session: ssh.Session
    sftp: Sftp
    user: str

    def tree(self, root: bytes) -> "Tree":
        """The folder `root`, which may be a link itself; relative ones begin at the home folder."""
        try:
            return Tree(self.sftp, self.user, self.sftp.real_path(root))
        except OSError as error:
            raise _refusal(self.sftp, self.user, root, error) from error


@dataclass(frozen=True, slots=True)
class Tree:
    """One folder and all that is below it. Paths are relative to it, and `b""` is itself."""

    sftp: Sftp
    user: str
    root: bytes

    def resolve(self, path: bytes) -> bytes:
        """Where `path` really is; `Refused` when that is not in the tree, or nowhere."""
        if b"\x00" in path:
            raise Refused("No path has a NUL.")
        try:
            real = self.sftp.real_path(b"/".join((self.root, path)) if path else self.root)
        except OSError as error:
            raise self._refusal(path, error) from error
        if real == self.root:
            return b""
        inside = self.root.rstrip(b"/") + b"/"
        if not real.startswith(inside):
            raise Refused(
                f"{shown(path)} leads out of this folder, to {shown(real)}. "
                "Such a link is shown, but not followed."
            )
        return real.removeprefix(inside)

    def describe(self, path: bytes) -> Entry:
        """What is at a resolved path."""
        try:
            found = self.sftp.stat(self.absolute(path))
        except OSError as error:
            raise self._refusal(path, error) from error
        return _entry(path.rsplit(b"/", 1)[-1], found)

    def folder(self, path: bytes) -> Folder:
        """What is in the folder at a resolved path."""
        try:
            found = list(islice(self._entries(path), MOST_ENTRIES + 1))
        except OSError as error:
            raise self._refusal(path, error) from error
        return Folder(path, found[:MOST_ENTRIES], len(found) > MOST_ENTRIES)

    def target(self, path: bytes) -> bytes | None:
        """What the link at `path` says, None if the machine does not tell."""
        try:
            return self.sftp.link_target(self.absolute(path))
        except OSError:
            return None

    @contextmanager
    def open(self, path: bytes) -> Iterator["File"]:
        """The file at a resolved path; folders, devices and pipes are `Refused`."""
        entry = self.describe(path)
        if entry.kind != "file":
            raise Refused(f"{shown(path)} is not a file.")
        try:
            with self.sftp.open(self.absolute(path), "r") as opened:
                yield File(opened, entry.size or 0)
        except OSError as error:
            raise self._refusal(path, error) from error

    def absolute(self, path: bytes) -> bytes:
        return b"/".join((self.root.rstrip(b"/"), path)) if path else self.root

    def _entries(self, path: bytes) -> Iterator[Entry]:
        for name, found in self.sftp.entries(self.absolute(path)):
            if name not in (b".", b".."):
                yield _entry(name, found)

    def _refusal(self, path: bytes, error: OSError) -> Exception:
        return _refusal(self.sftp, self.user, self.absolute(path), error)


@dataclass(frozen=True, slots=True)
class File:
    """An open file of `size` bytes when it was opened; threads take turns."""

    handle: Any
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes of what it had when it was opened; less when it has shrunk."""
        end = min(offset + length, self.size)
        starts = range(offset, end, _REQUEST_BYTES)
        return b"".join(self.handle.readv([(at, min(_REQUEST_BYTES, end - at)) for at in starts]))


@contextmanager
def opened(connection: Connection, *, seconds: float = LOOK_SECONDS) -> Iterator[Machine]:
    """The machine's files for at most `seconds`, never inside a transaction; or `NotReached`."""
    with logged_in(connection) as session:
        try:
            with session.sftp(timeout=seconds) as sftp:
                yield Machine(session, sftp, connection.username)
        except ssh.SentTooMuch as error:
            raise NotReached(
                "The machine answered with longer names, or more of them, than a folder can have."
            ) from error
        except ssh.SessionLost as error:
            raise NotReached("The machine offers no SFTP, or the link broke.") from error


@contextmanager
def logged_in(connection: Connection) -> Iterator[ssh.Session]:
    """A session of one's own, unless the machine is known to be in trouble. Raises `NotReached`."""
    if connection.transport == Transport.LOCAL:
        raise NotReached("This is the site's own machine, which is not reached over SSH.")
    if connection.reason not in _NO_TROUBLE:
        raise NotReached(connection.detail or "The machine is not connected.")
    try:
        session = ssh.open_session(targets.target_of(connection), timeout=LOGIN_SECONDS)
    except ssh.ConnectError as error:
        raise NotReached(error.detail) from error
    with session:
        yield session


def shown(name: bytes) -> str:
    """A name as text for people: what is no character, or cannot be seen, as an escape."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _entry(name: bytes, found: Any) -> Entry:
    mode = found.st_mode
    kind = next((kind for is_kind, kind in _KINDS if mode is not None and is_kind(mode)), "other")
    seconds = found.st_mtime
    return Entry(
        name=name,
        kind=kind,
        size=found.st_size if kind == "file" else None,
        modified_at=None if seconds is None else datetime.fromtimestamp(seconds, UTC),
        mode="" if mode is None else stat.filemode(mode),
    )


def _refusal(sftp: Sftp, user: str, path: bytes, error: OSError) -> Exception:
    """The error for people: it names the user and the mode where a right is missing."""
    if sftp.is_closed:
        return NotReached("The machine did not answer in time, or the link broke.")
    name = shown(path)
    if error.errno == errno.ENOENT:
        return Refused(f"{name} is not on the machine.")
    if error.errno == errno.EACCES:
        return Refused(f"The user {user} may not read {name}{_mode(sftp, path)}.")
    return Refused(f"The machine refused to read {name}.")


def _mode(sftp: Sftp, path: bytes) -> str:
    """` (drwx------)`; nothing where already a folder above is closed."""
    try:
        mode = sftp.stat(path).st_mode
    except OSError:
        return ""
    return "" if mode is None else f" ({stat.filemode(mode)})"
