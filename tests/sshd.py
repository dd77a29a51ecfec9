"""A real OpenSSH server on a free port, for one test, with keys of its own."""

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from dgxsite.up import children
from tests.programs import require_program

SSHD_PATHS = os.pathsep.join(["/usr/sbin", "/usr/local/sbin", os.environ.get("PATH", "")])


@dataclass
class Sshd:
    """A running server. `user` may log in with `client_key`."""

    directory: Path
    port: int
    user: str
    client_key: str
    host_key_fingerprint: str
    process: "subprocess.Popen[bytes]"

    @property
    def log(self) -> str:
        return (self.directory / "sshd.log").read_text(errors="replace")

    def stop(self) -> None:
        """End the server and every session of it."""
        if self.process.poll() is None:
            self.signal_all(signal.SIGCONT)
            self.signal_all(signal.SIGKILL)
            self.process.wait()

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the listener and to each session process."""
        for pid in [self.process.pid, *_descendants(self.process.pid)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def start(
    directory: Path,
    *,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
    options: Mapping[str, str] | None = None,
    address: str = "127.0.0.1",
    prefix: Sequence[str] = (),
) -> Sshd:
    """Start sshd for the current user in `directory`; existing keys there are used again.

    `prefix` goes before the program, such as `ip netns exec NAME`. The server ends with us.
    """
    program = require_program("sshd", path=SSHD_PATHS)
    directory.mkdir(parents=True, exist_ok=True)
    host_key, client_key = directory / "host_key", directory / "client_key"
    for path in (host_key, client_key):
        if not path.exists():
            make_key(path)
    (directory / "authorized_keys").write_text(client_key.with_suffix(".pub").read_text())
    port = port or free_port()
    config = directory / "sshd_config"
    options = {"ListenAddress": address} | dict(options or {})
    config.write_text(_config(directory, port, environment or {}, options))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (directory / "sshd.log").open("ab") as log:
        argv = [*prefix, program, "-D", "-e", "-f", str(config)]
        process = children.start(argv, death_signal=signal.SIGKILL, output=log)
    server = Sshd(
        directory,
        port,
        _user_name(),
        client_key.read_text(),
        key_fingerprint(host_key),
        process,
    )
    _wait_for_banner(server, address)
    return server


def make_key(path: Path, kind: str = "ed25519") -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True, timeout=60
    )


def key_fingerprint(path: Path) -> str:
    """`SHA256:…` as ssh-keygen computes it."""
    output = subprocess.check_output(["ssh-keygen", "-lf", str(path)], text=True, timeout=30)
    return output.split()[1]


def _config(
    directory: Path, port: int, environment: Mapping[str, str], options: Mapping[str, str]
) -> str:
    settings = {
        "Port": str(port),
        "HostKey": str(directory / "host_key"),
        "AuthorizedKeysFile": str(directory / "authorized_keys"),
        "PidFile": str(directory / "sshd.pid"),
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
        "MaxStartups": "100:30:200",
        "LogLevel": "VERBOSE",
        "Subsystem": "sftp internal-sftp",
    } | dict(options)
    lines = [f"{name} {value}" for name, value in settings.items()]
    if environment:
        # sshd takes only the first SetEnv line.
        pairs = " ".join(f'{name}="{value}"' for name, value in environment.items())
        lines.append(f"SetEnv {pairs}")
    return "\n".join(lines) + "\n"


def _wait_for_banner(server: Sshd, address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((address, server.port), timeout=2) as sock:
                if sock.recv(8).startswith(b"SSH-2.0"):
                    return
        except OSError:
            pass
        if server.process.poll() is not None:
            raise RuntimeError(f"sshd ended: {server.log}")
        time.sleep(0.02)
    raise RuntimeError(f"sshd did not start: {server.log}")


def _user_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
