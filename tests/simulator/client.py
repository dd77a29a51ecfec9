"""Clients for the simulated machines: OpenSSH where it is installed, asyncssh beside it."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh

from simulator.machine import Machine

TIMEOUT_SECONDS = 20


def run(
    machine: Machine, key: Path, command: str, stdin: bytes = b"", *options: str
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command over SSH; 255 when the connection fails, as ssh(1)."""
    if shutil.which("ssh") is None:
        return asyncio.run(_run_with_asyncssh(machine, key, command, stdin))
    return subprocess.run(
        [*openssh(machine, key), *options, "--", machine.spec.address, command],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def openssh(machine: Machine, key: Path, program: str = "ssh") -> list[str]:
    """The command line of OpenSSH up to the host name."""
    options = (
        "BatchMode=yes",
        "ConnectTimeout=5",
        "IdentitiesOnly=yes",
        "LogLevel=ERROR",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        f"User={machine.spec.username}",
        f"Port={machine.port}",
        f"IdentityFile={key}",
    )
    return [program, "-F", "none", *(word for option in options for word in ("-o", option))]


def connect(machine: Machine, key: Path | None, **options: Any) -> Any:
    """An asyncssh connection, to be entered with `async with`."""
    return asyncssh.connect(
        machine.spec.address,
        machine.port,
        username=machine.spec.username,
        client_keys=[str(key)] if key is not None else None,
        known_hosts=None,
        config=None,
        agent_path=None,
        **options,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that takes a moment; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def settled(figure: Callable[[], int], seconds: float = 30.0) -> int:
    """The figure when it has not changed for a moment."""
    deadline = time.monotonic() + seconds
    last, now = -1, figure()
    while now != last:
        assert time.monotonic() < deadline, "it never came to rest"
        time.sleep(0.3)
        last, now = now, figure()
    return now


def is_alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def bytes_written(pid: int) -> int:
    """How much a process has written so far."""
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["wchar"])


async def _run_with_asyncssh(
    machine: Machine, key: Path, command: str, stdin: bytes
) -> "subprocess.CompletedProcess[bytes]":
    try:
        async with connect(machine, key) as connection:
            done = await connection.run(command, input=stdin, encoding=None)
    except (OSError, asyncssh.Error):
        return subprocess.CompletedProcess([command], 255, b"", b"")
    return subprocess.CompletedProcess([command], done.returncode, done.stdout, done.stderr)
