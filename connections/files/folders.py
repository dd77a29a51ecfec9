"""A folder on a machine: from what a person wrote to the absolute path, checked and made on wish.

`~`, `~/x` and relative paths begin at the home folder, which the machine is asked for once; every
other character means itself. No shell takes part. `NoFolder` is the machine's answer, which will
stay the same; `NotReached` says that nobody could be asked. Nothing here is ever deleted.
"""

import errno
import os
import posixpath
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from connections import ssh
from connections.files import own_folders
from connections.models import Connection, Transport
from connections.ssh import targets
from core import cleaner
from core.errors import Invalid
from core.schemas import printable

LOGIN_SECONDS = 10.0
ANSWER_SECONDS = 10.0
LONGEST_WRITTEN = 1024
# PATH_MAX of Linux, and NAME_MAX of its file systems.
LONGEST_PATH_BYTES = 4096
_LONGEST_NAME_BYTES = 255
_SILENT = (
    f"The machine did not say anything about the folder in {ANSWER_SECONDS:g} s: "
    "it may lie on a disk or a mount that hangs."
)
# Characters of a sentence that may name a path.
LONGEST_DETAIL = 5000


class NoFolder(Exception):
    """The machine says no; `can_be_made` if it is only that the folder is not there."""

    def __init__(self, detail: str, *, can_be_made: bool = False) -> None:
        self.detail = cleaner.line(detail, LONGEST_DETAIL)
        super().__init__(self.detail)
        self.can_be_made = can_be_made


class NotReached(Exception):
    """The machine could not be asked; `detail` says why in a sentence."""

    def __init__(self, detail: str) -> None:
        self.detail = cleaner.line(detail, LONGEST_DETAIL)
        super().__init__(self.detail)


class Files(Protocol):
    """What is needed of SFTP, or of the site's own machine; errors are `OSError`."""

    def normalize(self, path: str, /) -> str | None: ...
    def stat(self, path: str, /) -> Any: ...
    def lstat(self, path: str, /) -> Any: ...
    def mkdir(self, path: str, /) -> None: ...
    def check_listable(self, path: str, /) -> None: ...


def check_path(text: str, field: str) -> str:
    """`text` if it can name a folder; `Invalid` otherwise. Asks no machine."""
    try:
        printable(text)
    except ValueError as error:
        raise Invalid.field(field, str(error)) from error
    if not text.strip() or len(text) > LONGEST_WRITTEN:
        raise Invalid.field(field, f"Give a folder, in at most {LONGEST_WRITTEN} characters.")
    parts = text.split("/")
    if ".." in parts or any(len(part.encode()) > _LONGEST_NAME_BYTES for part in parts):
        raise Invalid.field(field, "A folder has no “..”, and each name at most 255 bytes.")
    return text


def resolve(connection: Connection, text: str, *, create: bool = False) -> str:
    """The absolute path of a folder that is there and can be read, made if `create` says so.

    Logs in for this one question, so never call it inside a transaction. Takes 20 s at most.
    """
    if connection.transport == Transport.LOCAL:
        return here(text, create=create)
    try:
        with ssh.open_session(targets.target_of(connection), timeout=LOGIN_SECONDS) as session:
            return look_over(session, text, connection.username, create=create)
    except ssh.ConnectError as error:
        raise NotReached(error.detail) from error


def here(text: str, *, create: bool = False) -> str:
    """The same on the machine that the site runs on, below its roots
    (`connections.files.own_folders`).

    The answer is the real path: where it lies now is what was allowed.
    """
    try:
        path = look(_Here(), own_folders.real(text), "of this site", create=create)
        return own_folders.real(path)
    except own_folders.NotBelowRoots as error:
        raise NoFolder(error.detail) from error


def look_over(session: ssh.Session, text: str, user: str, *, create: bool = False) -> str:
    """The same over a session that is open; one that does not answer in 10 s is closed, so never
    give one that others need.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    try:
        with session.sftp(timeout=ANSWER_SECONDS) as sftp:
            try:
                return look(sftp, text, user, create=create)
            except NoFolder as error:
                if sftp.is_closed:
                    raise _not_reached(deadline, "The link to the machine broke.") from error
                raise
    except ssh.SessionLost as error:
        why = "The machine offers no SFTP, or the link broke."
        raise _not_reached(deadline, why) from error


def _not_reached(deadline: float, why: str) -> NotReached:
    return NotReached(_SILENT if time.monotonic() > deadline else why)


def look(files: Files, text: str, user: str, *, create: bool = False) -> str:
    """Resolve, make and check, with the files of a machine and the name of its user."""
    question = _Question(files, user)
    path = question.absolute(text)
    if create:
        question.make(path)
    question.check(path)
    return path


@dataclass(frozen=True, slots=True)
class _Question:
    files: Files
    user: str

    def absolute(self, text: str) -> str:
        path = text if text.startswith("/") else posixpath.join(self._home(), _below_home(text))
        # Two slashes at the start mean something to POSIX, and nothing to Linux.
        path = "/" + posixpath.normpath(path).lstrip("/")
        if len(path.encode()) > LONGEST_PATH_BYTES:
            raise NoFolder(f"With the home folder this is longer than {LONGEST_PATH_BYTES} bytes.")
        return path

    def make(self, path: str) -> None:
        """Each part that is missing, from the top; what somebody else makes meanwhile is fine."""
        above = "/"
        for part in path.split("/"):
            above = posixpath.join(above, part)
            if self._is_missing(above):
                self._make_one(above)

    def check(self, path: str) -> None:
        """`NoFolder` unless it is a folder whose entries the user may read."""
        try:
            mode = self.files.stat(path).st_mode
            if mode is None or not stat.S_ISDIR(mode):
                raise NoFolder(f"{path} is not a folder.")
        except OSError as error:
            raise self._absent(path, error) from error
        try:
            self.files.check_listable(path)
        except OSError as error:
            bits = stat.filemode(mode)
            raise NoFolder(f"The user {self.user} may not read {path} ({bits}).") from error

    def _home(self) -> str:
        try:
            home = self.files.normalize(".") or ""
            printable(home)
        except (OSError, ValueError) as error:  # bytes that are no UTF-8 are a ValueError too
            raise NoFolder(
                "The machine does not say where the home folder is; give a path that starts with /."
            ) from error
        if not home.startswith("/"):
            raise NoFolder("The machine gives no usable home folder; start the path with /.")
        return home

    def _is_missing(self, path: str) -> bool:
        try:
            self.files.stat(path)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise self._absent(path, error) from error
        return False

    def _make_one(self, path: str) -> None:
        try:
            self.files.mkdir(path)
        except OSError as error:
            if self._is_missing(path):
                above = posixpath.dirname(path)
                raise NoFolder(
                    f"The user {self.user} could not make a folder in {above}: not a folder, "
                    "no right, read-only, or full."
                ) from error

    def _absent(self, path: str, error: OSError) -> NoFolder:
        if self._is_link(path):
            return NoFolder(f"{path} is a link that leads nowhere, or in a circle.")
        if error.errno == errno.ENOENT:
            return NoFolder(f"{path} is not on the machine.", can_be_made=True)
        if error.errno == errno.EACCES:
            return NoFolder(f"The user {self.user} may not enter a folder above {path}.")
        return NoFolder(f"The machine refused to look at {path}.")

    def _is_link(self, path: str) -> bool:
        try:
            return stat.S_ISLNK(self.files.lstat(path).st_mode or 0)
        except OSError:
            return False


class _Here:
    """The machine that the site runs on, as SFTP would show it."""

    def normalize(self, path: str, /) -> str:
        return str(Path.home() / path)

    def stat(self, path: str, /) -> os.stat_result:
        return Path(path).stat()

    def lstat(self, path: str, /) -> os.stat_result:
        return Path(path).lstat()

    def mkdir(self, path: str, /) -> None:
        Path(path).mkdir()

    def check_listable(self, path: str, /) -> None:
        os.scandir(path).close()


def _below_home(text: str) -> str:
    if text == "~":
        return ""
    return text[2:].lstrip("/") if text.startswith("~/") else text
