"""Start child processes that do not outlive us, whatever kills us."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def start(
    argv: Sequence[str],
    *,
    death_signal: signal.Signals = signal.SIGTERM,
    env: Mapping[str, str] | None = None,
    output: "IO[Any] | int | None" = None,
) -> "subprocess.Popen[bytes]":
    """Run `argv` in a session of its own; the kernel sends `death_signal` when we die.

    Linux watches the calling *thread*: call this from one that lives as long as the process.
    Elsewhere the child is only found by the next start, through its process id.
    """
    return subprocess.Popen(
        list(argv),
        env=dict(env) if env is not None else None,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
        preexec_fn=_die_with_parent(death_signal),  # noqa: PLW1509 (no thread has started yet)
    )


def stop(child: "subprocess.Popen[bytes]", how: signal.Signals, timeout: float) -> None:
    """Ask with `how`, wait, and kill what does not listen within `timeout` seconds."""
    if child.poll() is not None:
        return
    child.send_signal(how)
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # it died before the line above
            os.kill(os.getpid(), death_signal)

    return arrange
