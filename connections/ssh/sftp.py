"""The machine's files over one channel, with bounds on what it may answer."""

import contextlib
from collections.abc import Iterator
from typing import Any

import paramiko

from connections.ssh.stillness import Stillness
from connections.ssh.transport import LONGEST_MESSAGE_BYTES, Message, TooMuch
from core.web.waiting import give_back

# Linux names a file with 255 bytes at most, and a path with 4,096.
LONGEST_NAME_BYTES, LONGEST_PATH_BYTES = 1024, 4096
# All names of a folder, of which each counts so much more than its bytes: it is an object.
LISTING_BYTES, ENTRY_BYTES = 8 * 1024 * 1024, 64

# SFTP's answers are read by this name there; the same bounds count.
paramiko.sftp_client.Message = Message  # type: ignore[attr-defined]


class Sftp(paramiko.SFTPClient):
    """Paramiko's client, and two requests of OpenSSH's that it does not know."""

    stillness: Stillness

    def _request(self, kind: int, *arguments: Any) -> tuple[int, paramiko.Message]:
        """One question and its answer; the database may have been asked since the last one."""
        give_back()
        answer: tuple[int, paramiko.Message] = super()._request(kind, *arguments)  # type: ignore[misc]
        return answer

    def free_bytes(self, path: str) -> int | None:
        """What an ordinary user may still write on the file system of `path`; None: not told."""
        try:
            _, answer = self._request(paramiko.sftp.CMD_EXTENDED, "statvfs@openssh.com", path)
        except OSError:
            return None
        _, unit, _, _, available = (answer.get_int64() for _ in range(5))
        return int(unit * available)

    def check_listable(self, path: str) -> None:
        """Raises `OSError` unless the folder can be opened to list it; reads no entry."""
        _, answer = self._request(paramiko.sftp.CMD_OPENDIR, path)
        self._request(paramiko.sftp.CMD_CLOSE, answer.get_binary())

    def real_path(self, path: bytes) -> bytes:
        """`path` without links, `.` and `..`, as the machine resolves it."""
        return self._one_name(paramiko.sftp.CMD_REALPATH, path)

    def link_target(self, path: bytes) -> bytes:
        """What a symbolic link says, unresolved."""
        return self._one_name(paramiko.sftp.CMD_READLINK, path)

    def entries(self, path: bytes) -> Iterator[tuple[bytes, paramiko.SFTPAttributes]]:
        """Name and attributes of what is in a folder; names are bytes, whatever they are.

        Paramiko's own listing fails as a whole on one name that is not UTF-8. Raises `TooMuch`
        for names that no folder has, or more of them than `LISTING_BYTES`.
        """
        _, answer = self._request(paramiko.sftp.CMD_OPENDIR, path)
        handle, left = answer.get_binary(), LISTING_BYTES
        try:
            while True:
                _, answer = self._request(paramiko.sftp.CMD_READDIR, handle)
                for _ in range(answer.get_int()):
                    name = _at_most(LONGEST_NAME_BYTES, answer.get_binary())
                    left -= len(name) + ENTRY_BYTES
                    if left < 0:
                        raise TooMuch("a folder without an end")
                    answer.get_binary()  # what `ls -l` would print
                    attributes = paramiko.SFTPAttributes()
                    attributes._unpack(answer)  # type: ignore[attr-defined]
                    yield name, attributes
        except EOFError:
            return
        except TooMuch:
            self.close()
            raise
        finally:
            if not self.is_closed:
                self._request(paramiko.sftp.CMD_CLOSE, handle)

    def _one_name(self, request: int, path: bytes) -> bytes:
        _, answer = self._request(request, path)
        if answer.get_int() != 1:
            raise OSError("not one name")
        return _at_most(LONGEST_PATH_BYTES, answer.get_binary())

    def _read_all(self, n: int) -> bytes:
        """The whole of a packet, which Paramiko lets have 16 MiB."""
        if n > LONGEST_MESSAGE_BYTES:
            raise TooMuch(f"an SFTP packet of {n} bytes")
        found: bytes = super()._read_all(n)  # type: ignore[misc]
        return found

    def ask_ahead(self, file: paramiko.SFTPFile, size: int) -> None:
        """Have all `size` bytes of a file sent that is about to be read from its start.

        Paramiko asks for them on a thread of its own and takes a moment in which every question has
        been answered for the end of the file. So all may have been read, and the channel closed,
        while that thread still asks; nobody waits for its answers then.
        """
        ask = file._prefetch_thread  # type: ignore[attr-defined]

        def ask_while_open(*arguments: Any) -> None:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                ask(*arguments)

        file._prefetch_thread = ask_while_open  # type: ignore[attr-defined]
        file.prefetch(size)

    def be_patient(self, seconds: float) -> None:
        """Wait no longer than this for any answer; `OSError` after it."""
        if (channel := self.get_channel()) is not None:
            channel.settimeout(seconds)

    @property
    def is_closed(self) -> bool:
        """Whether the link under it is known to be gone."""
        channel = self.get_channel()
        return channel is None or bool(channel.closed)

    def sync(self, file: paramiko.SFTPFile) -> None:
        """Have the machine put the file on its disk, if it offers that."""
        with contextlib.suppress(OSError):
            self._request(paramiko.sftp.CMD_EXTENDED, "fsync@openssh.com", file.handle)


def _at_most(most: int, name: bytes) -> bytes:
    if len(name) > most:
        raise TooMuch(f"a name of {len(name)} bytes")
    return name
