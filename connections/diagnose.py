"""Try a machine step by step, and say for the first step that fails how to mend it.

resolve → tcp → host_key → auth → shell, then what the machine offers: gpu, docker, ollama. A step
that fails ends the test, except the last three, which are only missing features. No credential is
sent before the host key is an accepted one. The whole takes 20 s at most.

A port that is closed and one that a firewall swallows get the same words after the same time, so
that the test tells nobody what runs on a network that only the site can reach.
"""

import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from connections import ssh
from connections.models import Connection, Reason, Transport
from connections.ssh import targets
from core.security import address_policy
from core.web.waiting import outside_database

TOTAL_SECONDS = 20.0
TCP_SECONDS = 4.0
_COMMAND_SECONDS = 5.0
_MARKER = "dgxsite-shell-works"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the answer; `hint` says how to mend what failed."""

    name: str
    ok: bool
    detail: str | None = None
    hint: str | None = None


def run_steps(connection: Connection) -> dict[str, Any]:
    """`{"ok", "steps"}` for a stored machine or a draft; raises nothing that a machine can cause.

    `ok` is whether it can be connected: a machine without GPU, Docker or Ollama is.
    """
    if connection.transport == Transport.LOCAL:
        steps = [Step("shell", True, "This is the machine that the site runs on.")]
    else:
        steps = list(_steps(connection, time.monotonic() + TOTAL_SECONDS))
    reached = {step.name for step in steps if step.ok}
    return {"ok": "shell" in reached, "steps": [asdict(step) for step in steps]}


def _steps(connection: Connection, deadline: float) -> Iterator[Step]:
    if connection.jump_connection is None:
        step, address = _resolve(connection)
        yield step
        if not step.ok:
            return
        yield (step := _tcp(address, connection.port))
        if not step.ok:
            return
    yield from _over_ssh(connection, deadline)


def _resolve(connection: Connection) -> tuple[Step, str]:
    try:
        address = address_policy.pin(connection.hostname, connection.port)
    except address_policy.Unresolvable as error:
        hint = "Check the spelling, or give the IP address in place of the name."
        return Step("resolve", False, error.detail, hint), ""
    except address_policy.RefusedAddress as error:
        hint = "Give an address of the machine in your network."
        return Step("resolve", False, error.detail, hint), ""
    return Step("resolve", True, address), address


@outside_database()
def _tcp(address: str, port: int) -> Step:
    began = time.monotonic()
    try:
        socket.create_connection((address, port), timeout=TCP_SECONDS).close()
    except OSError:
        time.sleep(max(0.0, TCP_SECONDS - (time.monotonic() - began)))
        return Step(
            "tcp",
            False,
            f"No answer on port {port}.",
            "Check that the machine is on, that sshd listens on this port "
            "(ss -tln | grep ssh), and that no firewall is between.",
        )
    return Step("tcp", True, f"Port {port} answers.")


def _over_ssh(connection: Connection, deadline: float) -> Iterator[Step]:
    try:
        target = targets.target_of(connection)
        session = ssh.open_session(target, timeout=max(1.0, deadline - time.monotonic()))
    except ssh.ConnectError as error:
        yield from _refused(error)
        return
    with session:
        yield Step("host_key", True, session.host_key)
        yield Step("auth", True, f"Logged in as {connection.username}.")
        yield (step := _shell(session, deadline))
        if step.ok:
            for look in (_gpu, _docker):
                yield look(session, deadline)
            yield _ollama(session, deadline, connection.ollama_port)


# The step at which each reason ends the log-in, and what helps.
_FAILURES: dict[str, tuple[str, str]] = {
    Reason.UNREACHABLE: ("tcp", "Check that the jump host can reach the machine."),
    Reason.SSH_UNRESPONSIVE: (
        "host_key",
        "Check that this is the SSH port; if the machine hangs: sudo systemctl restart ssh.",
    ),
    Reason.HOST_KEY_UNKNOWN: (
        "host_key",
        "Compare it on the machine (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), accept it.",
    ),
    Reason.HOST_KEY_CHANGED: (
        "host_key",
        "Find out whether the machine was reinstalled; nothing was sent to it.",
    ),
    Reason.AUTH_FAILED: (
        "auth",
        "Check the user name, and append the public key to ~/.ssh/authorized_keys there.",
    ),
    Reason.KEY_UNUSABLE: ("auth", "Give the key, its passphrase or the password again."),
    Reason.REFUSED_ADDRESS: ("resolve", "Give an address of the machine in your network."),
}


def _refused(error: ssh.ConnectError) -> Iterator[Step]:
    name, hint = _FAILURES.get(error.reason, ("auth", None))
    if name == "auth" and error.reason == Reason.AUTH_FAILED:
        yield Step("host_key", True, "The accepted host key.")
    detail = error.detail
    if error.offered_host_key:
        detail = f"{detail} It offers {error.offered_host_key}."
    yield Step(name, False, detail, hint)


def _shell(session: ssh.Session, deadline: float) -> Step:
    """A shell is usable if it runs a command and gives back what that printed, among noise."""
    result = _run(session, f"printf '%s\\n' {_MARKER}", deadline)
    if result is not None and _MARKER.encode() in result.stdout:
        return Step("shell", True, "Commands run.")
    return Step(
        "shell",
        False,
        "The login shell did not run a command.",
        "Look for nologin, a forced command, or a start-up file that waits or starts tmux.",
    )


def _gpu(session: ssh.Session, deadline: float) -> Step:
    for command, tool in (("nvidia-smi -L", "NVIDIA"), ("rocm-smi --showid", "AMD")):
        result = _run(session, command, deadline)
        if result is not None and result.exit_status == 0:
            count = sum(line.startswith((b"GPU ", b"GPU[")) for line in result.stdout.splitlines())
            return Step("gpu", True, f"{count} {tool} GPU{'' if count == 1 else 's'}.")
    return Step(
        "gpu",
        False,
        "Neither nvidia-smi nor rocm-smi works here.",
        "Install the GPU driver, or go on without: everything else is shown.",
    )


def _docker(session: ssh.Session, deadline: float) -> Step:
    result = _run(session, "docker ps -q", deadline)
    if result is not None and result.exit_status == 0:
        return Step("docker", True, "docker answers.")
    if result is not None and b"permission denied" in result.stderr.lower():
        return Step(
            "docker",
            False,
            "The user may not use Docker.",
            'On the machine: sudo usermod -aG docker "$USER", then connect anew.',
        )
    return Step(
        "docker", False, "docker does not answer.", "Only needed for containers: install Docker."
    )


def _ollama(session: ssh.Session, deadline: float, port: int) -> Step:
    """Asks with curl or wget, whichever is there; the port is a checked number."""
    url = f"http://127.0.0.1:{port}/api/version"
    command = f"curl -fsS -m 3 {url} || wget -qO- -T 3 {url}"
    result = _run(session, command, deadline)
    if result is not None and b'"version"' in result.stdout:
        return Step("ollama", True, f"Ollama answers on port {port}.")
    return Step(
        "ollama",
        False,
        f"No Ollama on port {port} of the machine.",
        "Only needed for models: start it with ollama serve.",
    )


def _run(session: ssh.Session, command: str, deadline: float) -> ssh.CommandResult | None:
    """The result, or None when the command did not end in time or the session went."""
    timeout = min(_COMMAND_SECONDS, deadline - time.monotonic())
    if timeout <= 0:
        return None
    try:
        return session.run(command, timeout=timeout, limit=64 * 1024)
    except (ssh.CommandTimeout, ssh.SessionLost):
        return None
