"""Real processes of a simulated machine: starting them, feeding them, ending every one of them."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import asyncssh

from simulator.pumps import drain, feed, set_terminal_size

MARK = "SIMULATED_MACHINE"
"""Environment variable that every process of a machine carries, with the machine's folder."""


_KILL_ROUNDS = 200


async def serve_process(
    process: asyncssh.SSHServerProcess[bytes],
    argv: list[str],
    environment: dict[str, str],
    folder: Path,
    *,
    hangs_up: bool,
) -> None:
    """Run `argv` for one SSH session and hand its exit status or signal back.

    With `hangs_up`, its process group gets SIGHUP when the client closes the session; without, it
    is left alone as OpenSSH leaves a command that has no terminal.
    """
    has_terminal = process.term_type is not None
    start = _start_in_terminal if has_terminal else _start_with_pipes
    child, stdin, outputs = await start(process, argv, environment, folder)
    notify = partial(signal_group, child.pid)
    feeding = asyncio.create_task(feed(process.stdin, stdin, notify))
    writers = (process.stdout, process.stderr)
    draining = [
        asyncio.create_task(drain(output, writer))
        for output, writer in zip(outputs, writers, strict=False)
    ]
    # As in OpenSSH, a session stays open while some process still holds its output.
    ending = asyncio.ensure_future(_end(child, draining))
    closing = asyncio.create_task(process.wait_closed())
    try:
        await asyncio.wait((ending, closing), return_when=asyncio.FIRST_COMPLETED)
        if not closing.done():
            _report(process, ending.result())
            await closing
    finally:
        if child.returncode is None and (hangs_up or has_terminal):
            signal_group(child.pid, signal.SIGHUP)
        for task in (feeding, closing, *draining):
            task.cancel()
        await asyncio.gather(feeding, closing, *draining, return_exceptions=True)
        # The command may outlive its session; it is reaped whenever it ends.
        ending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ending


async def _end(child: asyncio.subprocess.Process, draining: "list[asyncio.Task[None]]") -> int:
    status = await child.wait()
    await asyncio.gather(*draining)
    return status


def _report(process: "asyncssh.SSHServerProcess[bytes]", status: int) -> None:
    if status < 0:
        process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
    else:
        process.exit(status)


Started = tuple[asyncio.subprocess.Process, int, tuple[int, ...]]
"""A child, the descriptor of its stdin, and those of its stdout and (without terminal) stderr."""


async def _start_with_pipes(
    process: "asyncssh.SSHServerProcess[bytes]",
    argv: list[str],
    environment: dict[str, str],
    folder: Path,
) -> Started:
    (child_in, stdin), (stdout, child_out), (stderr, child_err) = (os.pipe() for _ in range(3))
    ours, childs = (stdin, stdout, stderr), (child_in, child_out, child_err)
    with _closing(ours, childs):
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=child_in,
            stdout=child_out,
            stderr=child_err,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    return child, stdin, (stdout, stderr)


async def _start_in_terminal(
    process: "asyncssh.SSHServerProcess[bytes]",
    argv: list[str],
    environment: dict[str, str],
    folder: Path,
) -> Started:
    ours, childs = os.openpty()
    set_terminal_size(ours, *process.term_size[:2])
    setsid = shutil.which("setsid")
    # `setsid --ctty` makes the terminal the controlling one; without it there is no job control.
    prefix = [setsid, "--ctty"] if setsid is not None else []
    with _closing((ours,), (childs,)):
        child = await asyncio.create_subprocess_exec(
            *prefix,
            *argv,
            stdin=childs,
            stdout=childs,
            stderr=childs,
            env=environment | {"TERM": process.term_type or "dumb"},
            cwd=folder,
            start_new_session=setsid is None,
        )
    return child, os.dup(ours), (ours,)


@contextlib.contextmanager
def _closing(ours: tuple[int, ...], childs: tuple[int, ...]) -> Iterator[None]:
    """Close the child's ends in any case, and ours too where the child could not be started."""
    try:
        yield
    except BaseException:
        for descriptor in ours:
            os.close(descriptor)
        raise
    finally:
        for descriptor in childs:
            os.close(descriptor)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group that may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def processes_of(machine_folder: Path) -> list[int]:
    """The pids of every process that belongs to a machine, also those that left their session."""
    mark = f"{MARK}={machine_folder}".encode()
    pids = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                environment = Path(entry.path, "environ").read_bytes()
                if mark in environment.split(b"\0"):
                    pids.append(int(entry.name))
    return pids


def kill_processes_of(machine_folder: Path) -> None:
    """Kill every process of a machine; looks again until none is found, as they may be forking."""
    for _ in range(_KILL_ROUNDS):
        pids = processes_of(machine_folder)
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
