"""Count the processes that a machine starts, exactly: the kernel tells of every fork and exec.

Uses the process events connector of Linux (linux/cn_proc.h) over netlink, which needs root. Taking
snapshots of the process table would miss what lives for a few milliseconds.
"""

import os
import socket
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

_NETLINK_CONNECTOR = 11
_CN_IDX_PROC = _CN_VAL_PROC = 1
_NLMSG_DONE = 3
_LISTEN = 1
_EVENT_FORK, _EVENT_EXEC = 0x1, 0x2
# nlmsghdr (16 bytes), cn_msg (20), then the event: what, cpu, timestamp, and its own fields.
_EVENT = struct.Struct("=II8xIIII")
_OFFSET = 36


class Forks:
    """Follows some processes and everything that they start, while the block runs."""

    def __init__(self, pids: Iterable[int]) -> None:
        self.started = 0
        self.programs: list[str] = []
        self._family = set(pids)
        self._stopping = threading.Event()
        self._socket = _subscribe()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._thread.join(5)
        self._socket.close()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                data = self._socket.recv(4096)
                self._note(*_EVENT.unpack_from(data, _OFFSET))

    def _note(self, what: int, cpu: int, first: int, _: int, child: int, group: int) -> None:
        """Fork: parent, its group, child, its group. Exec: process, its group."""
        if what == _EVENT_FORK and first in self._family and child == group:
            self._family.add(child)
            self.started += 1
        elif what == _EVENT_EXEC and first in self._family:
            self.programs.append(_program_of(first))


def _subscribe() -> socket.socket:
    try:
        events = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_CONNECTOR)
        events.bind((0, _CN_IDX_PROC))
        body = struct.pack("=IIIIHHI", _CN_IDX_PROC, _CN_VAL_PROC, 0, 0, 4, 0, _LISTEN)
        header = struct.pack("=IHHII", 16 + len(body), _NLMSG_DONE, 0, 0, os.getpid())
        events.send(header + body)
    except OSError as error:
        message = f"the kernel does not tell of processes: {error}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    events.settimeout(0.2)
    return events


def _program_of(pid: int) -> str:
    """What it runs, as far as it still lives: short ones may be gone when we look."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
