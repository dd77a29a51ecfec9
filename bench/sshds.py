"""Real OpenSSH servers on loopback addresses, with fake GPU tools that cost next to nothing.

The current user logs in with a key made here. No login shell reads an rc file: those may take
longer than everything that is measured (bash under sshd reads them only at shell level one).
"""

import contextlib
import getpass
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.processes import Broken, free_port, running, wait_until

# OpenSSH listens on at most 16 addresses.
_ADDRESSES_EACH = 16
_PATHS = "/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", "")

# What the real tool prints with these options (8 lines, 1.4 kB) is made up line by line.
_GPUSTAT_LINE = (
    "\033[1m\033[34m[{}]\033[0m \033[34mNVIDIA H100 80GB HBM3         \033[0m |\033[1m\033[31m"
    " 61'C\033[0m, \033[1m\033[32m 98 %\033[0m, \033[1m\033[35m 664\033[0m / "
    "\033[35m 700 W\033[0m |"
    "\033[1m\033[33m 71234\033[0m / \033[33m81559\033[0m MB |\n"
)


def program() -> str | None:
    """The path of sshd; None where it is not installed."""
    return shutil.which("sshd", path=_PATHS)


@contextlib.contextmanager
def running_sshds(count: int, folder: Path, answers: Path) -> Iterator[list[dict[str, Any]]]:
    """`count` addresses from 127.0.1.1 on; entries as in `fleet.json`."""
    sshd = program()
    assert sshd is not None
    tools = _install_tools(folder, answers)
    for name in ("host_key", "client_key"):
        _make_key(folder / name)
    port = free_port()
    addresses = [f"127.0.{1 + index // 250}.{1 + index % 250}" for index in range(count)]
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with contextlib.ExitStack() as stack:
        for start in range(0, count, _ADDRESSES_EACH):
            config = folder / f"sshd-{start}.conf"
            config.write_text(
                _config(folder, addresses[start : start + _ADDRESSES_EACH], port, tools)
            )
            log = folder / f"sshd-{start}.log"
            argv = (sshd, "-D", "-e", "-f", str(config))
            stack.enter_context(running(argv, log, os.environ))
            wait_until(lambda: _greets(addresses[start], port), 20, "sshd", log)  # noqa: B023
        yield [_entry(address, port, folder) for address in addresses]


def polls(folder: Path) -> int:
    """How often `gpustat` has run on any machine."""
    counter = folder / "tools" / "polls"
    return counter.stat().st_size if counter.exists() else 0


def _install_tools(folder: Path, answers: Path) -> Path:
    """`gpustat`, and an `nvidia-smi` that repeats what the captured machine's answered."""
    tools = folder / "tools"
    tools.mkdir()
    lines = "".join(_GPUSTAT_LINE.format(index) for index in range(8))
    _write_program(
        tools / "gpustat",
        f"printf . >>{shlex.quote(str(tools / 'polls'))}\nprintf %s {shlex.quote(lines)}\n",
    )
    said = {name: _quoted(answers / name) for name in ("list", "xml", "gpu", "apps")}
    # The apps' second value is the time of the pass, which must change from pass to pass.
    _write_program(
        tools / "nvidia-smi",
        f"""case "$*" in
-L) printf %s {said["list"]} ;;
*--query-gpu*) while :; do printf %s {said["gpu"]}; sleep 2; done ;;
*--query-compute-apps*)
n=0
while n=$((n+1)); do
printf %s {said["apps"]} | while IFS=, read -r p t r; do printf '%s, %s,%s\\n' "$p" $n "$r"; done
sleep 4
done ;;
*" -l "*) while :; do printf %s {said["xml"]}; sleep 10; done ;;
*) printf %s {said["xml"]} ;;
esac
""",
    )
    return tools


def _write_program(path: Path, text: str) -> None:
    path.write_text("#!/bin/sh\n" + text, "utf-8")
    path.chmod(0o755)


def _quoted(answer: Path) -> str:
    return shlex.quote(answer.read_text("utf-8"))


def _make_key(path: Path) -> None:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise Broken(f"No key could be made: {done.stderr}")


def _config(folder: Path, addresses: list[str], port: int, tools: Path) -> str:
    path = f"{tools}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    lines = [
        f"HostKey {folder / 'host_key'}",
        f"AuthorizedKeysFile {folder / 'client_key.pub'}",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "PasswordAuthentication no",
        "MaxStartups 200",
        "LogLevel ERROR",
        f'SetEnv PATH="{path}" SHLVL="1"',
    ]
    lines += [f"ListenAddress {address}:{port}" for address in addresses]
    return "\n".join(lines) + "\n"


def _entry(address: str, port: int, folder: Path) -> dict[str, Any]:
    argv = ["ssh-keygen", "-lf", str(folder / "host_key")]
    told = subprocess.check_output(argv, text=True, timeout=60)
    return {
        "name": f"sshd-{address}",
        "hostname": address,
        "port": port,
        "username": getpass.getuser(),
        "private_key_path": str(folder / "client_key"),
        "host_key_fingerprint": told.split()[1],
    }


def _greets(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2) as sock:
            return sock.recv(8).startswith(b"SSH-2.0")
    except OSError:
        return False
