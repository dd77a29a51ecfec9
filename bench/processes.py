"""Start what the bench needs and end it with the block, also on Ctrl-C and on an error."""

import contextlib
import json
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from dgxsite.up import children

_STOP_SECONDS = 10.0


class Broken(Exception):
    """Something that is to be measured did not start or died; the text says what it said."""


@contextlib.contextmanager
def running(
    argv: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program whose output goes to `log`; it and all it started end with the block."""
    with log.open("ab") as output:
        process = children.start(argv, death_signal=stop_signal, env=environment, output=output)
    try:
        yield process
    finally:
        started = descendants(process.pid)
        children.stop(process, stop_signal, _STOP_SECONDS)
        for child in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


class Talker:
    """A program of the bench that answers (see `talk`)."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.pid = process.pid
        self._process = process
        self._log = log

    def ask(self, seconds: float = 10.0) -> dict[str, Any]:
        """What it has to say now. Raises `Broken` if it says nothing in time."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"\n")
        except BrokenPipeError:
            raise Broken(f"It ended: {tail(self._log)}") from None
        return self.hear(seconds)

    def hear(self, seconds: float) -> dict[str, Any]:
        """Its next line."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            raise Broken(f"No answer within {seconds:.0f} s: {tail(self._log)}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def talking(
    module: str, arguments: Sequence[str], log: Path, *, ready_seconds: float = 60.0
) -> Iterator[Talker]:
    """`python -m module`, once it says that it is ready."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            start_new_session=True,
        )
    try:
        talker = Talker(process, log)
        talker.hear(ready_seconds)
        yield talker
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        process.wait()


def descendants(pid: int) -> list[psutil.Process]:
    """Everything that this process started and that still runs."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def wait_until(is_so: Callable[[], bool], seconds: float, what: str, log: Path) -> None:
    """Raises `Broken` with the end of `log` if `is_so()` stays false."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise Broken(f"{what}: not within {seconds:.0f} s. {tail(log)}")
        time.sleep(0.1)


def tail(log: Path) -> str:
    """The last lines of a log."""
    return log.read_text("utf-8", "replace")[-1500:] if log.exists() else ""


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
