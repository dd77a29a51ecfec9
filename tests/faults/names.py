"""A name server that knows one name, and can be made to forget it or to say nothing.

Only programs that are started behind `prefix` ask it: a mount namespace of theirs has another
`/etc/resolv.conf`. Nothing outside of them changes. Needs root, `unshare` and `mount`.
"""

import ipaddress
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

NAME = "machine.trial"
# As it stands in a query: each label after its length.
_QUESTION = b"".join(bytes([len(label)]) + label.encode() for label in NAME.split("."))
_PORT = 53
_IPV4, _INTERNET = 1, 1
_FOUND, _UNKNOWN = 0x8180, 0x8183
_BIND = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


class Names(threading.Thread):
    """Answers for `NAME` with `address` until it is closed."""

    def __init__(self, directory: Path, address: str) -> None:
        """Raises OSError where a name server is not allowed."""
        super().__init__(name="names", daemon=True)
        self._address = ipaddress.IPv4Address(address).packed
        self._file = directory / "resolv.conf"
        self._mood = "knows"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own = _own_address()
        self._socket.bind((own, _PORT))
        self._file.write_text(f"nameserver {own}\n")

    @classmethod
    def open(cls, directory: Path, address: str) -> "Names | None":
        """One that works; None where there can be none."""
        try:
            names = cls(directory, address)
        except OSError:
            return None
        names.start()
        if names._is_asked():
            return names
        names.close()
        return None

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a program that is to ask here."""
        return ("unshare", "--mount", "sh", "-c", _BIND, str(self._file))

    def forget(self) -> None:
        """From now on there is no such name."""
        self._mood = "forgot"

    def hush(self) -> None:
        """From now on nobody gets an answer."""
        self._mood = "silent"

    def heal(self) -> None:
        self._mood = "knows"

    def run(self) -> None:
        while True:
            try:
                query, sender = self._socket.recvfrom(512)
            except OSError:
                return
            if not query or self._mood == "closed":
                return
            if self._mood != "silent":
                self._socket.sendto(self._answer(query), sender)

    def close(self) -> None:
        self._mood = "closed"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self.join()
        self._socket.close()

    def _answer(self, query: bytes) -> bytes:
        """Reply to one query as RFC 1035 has it: header, the question again, one record or none."""
        end = query.index(0, 12) + 5
        kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
        is_known = self._mood == "knows" and query[12 : end - 5].lower() == _QUESTION
        has_record = is_known and kind == _IPV4
        flags = _FOUND if is_known else _UNKNOWN
        header = query[:2] + struct.pack("!5H", flags, 1, int(has_record), 0, 0)
        record = struct.pack("!HHHIH", 0xC00C, _IPV4, _INTERNET, 0, 4) + self._address
        return header + query[12:end] + record * has_record

    def _is_asked(self) -> bool:
        """Whether a program behind `prefix` finds the name."""
        argv = [*self.prefix, "getent", "ahostsv4", NAME]
        try:
            asked = subprocess.run(argv, capture_output=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return str(ipaddress.IPv4Address(self._address)).encode() in asked.stdout


def _own_address() -> str:
    """An address of loopback for each process that runs trials."""
    third, fourth = divmod(os.getpid() % (256 * 254), 254)
    return f"127.53.{third}.{fourth + 1}"
