"""Keep a handful of processes running: start, restart, one log, and an orderly end.

One thread and one `select` do everything, because the kernel ties a child's death signal to the
thread that started it. Nothing here knows what the programs are; `dgxsite/up/programs.py` does.

A program that dies is started again after 1, 2, 4 … 30 s; after a minute of life the count begins
anew. Stopping goes by stages, the highest first; who does not end within its patience is killed.
"""

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, cast

from dgxsite.up import children
from dgxsite.up.console import Console
from dgxsite.up.instance_lock import Occupancy

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_AFTER_SECONDS = 60.0
_LONGEST_LINE_BYTES = 16 * 1024


class Stopped(Exception):
    """Somebody asked for the end while something else was being waited for."""


class Failed(Exception):
    """A program did not become ready; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.

    Programs of a higher `stage` stop before those of a lower one, and each has
    `patience_seconds` to do so. Lines in which `chatter` is found stay out of the log.
    """

    name: str
    argv: tuple[str, ...]
    stage: int
    patience_seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    chatter: re.Pattern[str] | None = None


@dataclass(slots=True)
class _Child:
    program: Program
    process: "subprocess.Popen[bytes]"
    started_at: float
    tail: bytes = b""
    deaths: int = 0
    restart_at: float | None = None


class Supervisor:
    """Runs programs until `request_stop`, SIGINT, SIGTERM or SIGHUP."""

    def __init__(self, console: Console, occupancy: Occupancy) -> None:
        self._console = console
        self._occupancy = occupancy
        self._children: dict[str, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._stop_requests = 0
        self._wakeup, self._waker = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._waker, False)
        self._selector.register(self._wakeup, selectors.EVENT_READ)

    def listen_to_signals(self) -> None:
        """The three ways to say stop, and SIGCHLD so that a death is noticed at once."""
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, self._on_stop_signal)
        signal.signal(signal.SIGTERM, self._on_stop_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # not under nohup
            signal.signal(signal.SIGHUP, self._on_stop_signal)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def start(self, program: Program) -> None:
        """Run the program from now on."""
        self._children[program.name] = _Child(program, self._spawn(program), time.monotonic())
        self._remember()

    def pids(self) -> dict[str, int]:
        """The process ids of the programs that live, by name."""
        return {
            name: child.process.pid
            for name, child in self._children.items()
            if child.restart_at is None
        }

    def wait_for(self, name: str, is_ready: Callable[[], bool], seconds: float) -> None:
        """Serve until the program is ready.

        Raises `Failed` when it died or took longer, `Stopped` when somebody asked for the end.
        """
        deadline = time.monotonic() + seconds
        while not is_ready():
            self.serve(0.02)
            if self._stop_requests:
                raise Stopped
            if self._children[name].deaths:
                raise Failed(f"{name} ended while it was starting; its last lines are above.")
            if time.monotonic() > deadline:
                raise Failed(f"{name} was not ready after {seconds:.0f} s.")

    def serve(self, seconds: float) -> None:
        """Pass on what the programs print and restart what died, for at most `seconds`."""
        self._pass_on(min(seconds, self._until_restart()))
        for child in self._children.values():
            self._look_after(child)

    @property
    def is_stopping(self) -> bool:
        return self._stop_requests > 0

    def stop(self) -> None:
        """End everything, stage by stage; a second request for the end skips the waiting."""
        for stage in sorted({c.program.stage for c in self._children.values()}, reverse=True):
            self._stop_stage([c for c in self._children.values() if c.program.stage == stage])
        self._occupancy.forget()

    def _on_stop_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_requests += 1

    def _spawn(self, program: Program) -> "subprocess.Popen[bytes]":
        process = children.start(
            program.argv,
            death_signal=program.stop_signal,
            env={**os.environ, **program.environment},
            output=subprocess.PIPE,
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, data=program.name)
        return process

    def _pass_on(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fileobj == self._wakeup:
                with suppress(BlockingIOError):
                    os.read(self._wakeup, 4096)
            else:
                self._read(self._children[key.data], cast("IO[bytes]", key.fileobj))

    def _remember(self) -> None:
        living = [(c.process.pid, int(c.program.stop_signal)) for c in self._children.values()]
        self._occupancy.remember(living)

    def _read(self, child: _Child, output: IO[bytes]) -> bool:
        """Pass on what has arrived; whether there may be more at once."""
        try:
            data = os.read(output.fileno(), 64 * 1024)
        except BlockingIOError:
            return False
        if not data:
            self._selector.unregister(output)
            output.close()
        *lines, child.tail = (child.tail + data).split(b"\n")
        if child.tail and (not data or len(child.tail) > _LONGEST_LINE_BYTES):
            lines.append(child.tail)
            child.tail = b""
        for line in lines:
            self._show(child.program, line.decode("utf-8", "replace").rstrip("\r"))
        return bool(data)

    def _show(self, program: Program, line: str) -> None:
        if program.chatter is None or not program.chatter.search(line):
            self._console.line(program.name, line)

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.restart_at is None and child.process.poll() is not None:
            self._plan_restart(child, now)
        elif child.restart_at is not None and now >= child.restart_at:
            child.process = self._spawn(child.program)
            child.started_at, child.restart_at = now, None
            self._remember()

    def _plan_restart(self, child: _Child, now: float) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL)  # what it had started itself
        output = child.process.stdout
        while output is not None and not output.closed and self._read(child, output):
            pass  # its last words come before the news of its end
        if now - child.started_at > _HEALTHY_AFTER_SECONDS:
            child.deaths = 0
        pause = min(_FIRST_PAUSE_SECONDS * 2**child.deaths, _LONGEST_PAUSE_SECONDS)
        child.deaths += 1
        child.restart_at = now + pause
        ending = _ending(child.process.returncode)
        self._console.say(f"{child.program.name} {ending}; it starts again in {pause:.0f} s")

    def _until_restart(self) -> float:
        now = time.monotonic()
        waits = [c.restart_at - now for c in self._children.values() if c.restart_at is not None]
        return max(0.0, min(waits, default=3600.0))

    def _stop_stage(self, stage: list[_Child]) -> None:
        for child in stage:
            with suppress(ProcessLookupError):
                child.process.send_signal(child.program.stop_signal)
        patience = max(child.program.patience_seconds for child in stage)
        requests, deadline = self._stop_requests, time.monotonic() + patience
        while any(child.process.poll() is None for child in stage):
            is_impatient = self._stop_requests > max(requests, 1)
            if is_impatient or time.monotonic() > deadline:
                self._kill(stage)
                break
            self._pass_on(0.02)
        self._pass_on(0)

    def _kill(self, stage: list[_Child]) -> None:
        for child in stage:
            if child.process.poll() is None:
                self._console.say(f"{child.program.name} does not stop; killed")
                with suppress(ProcessLookupError):
                    os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
