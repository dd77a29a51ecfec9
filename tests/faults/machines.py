"""Machines for trials: each a real sshd of its own, and the row that wishes it connected."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psutil

from accounts.models import Team
from tests import factories, sshd

_TESTS = Path(__file__).resolve().parent.parent
_CAPTURES = _TESTS / "captures" / "nvidia-smi-xml"


@dataclass
class Machine:
    """One machine and its connection."""

    id: UUID
    server: sshd.Sshd
    tools: Path

    @property
    def logins(self) -> int:
        """How often somebody logged in."""
        return self.server.log.count("Accepted publickey")

    @property
    def greeted(self) -> int:
        """How often somebody connected, logged in or not."""
        return self.server.log.count("Connection from")

    def session_pids(self) -> set[int]:
        """Every process that runs for somebody who has connected."""
        try:
            listener = psutil.Process(self.server.process.pid)
            return {child.pid for child in listener.children(recursive=True)}
        except psutil.NoSuchProcess:
            return set()

    def collector_pids(self) -> set[int]:
        """Those of them that the site has started: everything but sshd itself."""
        return {pid for pid in self.session_pids() if _name(pid) not in {"sshd", ""}}

    def gpu_tool_starts(self) -> int:
        """How often `nvidia-smi` was started on this machine."""
        calls = self.tools / "nvidia-smi.calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0


def start(
    directory: Path,
    team: Team,
    *,
    address: str = "127.0.0.1",
    prefix: Sequence[str] = (),
    with_gpu: bool = False,
    options: Mapping[str, str] | None = None,
) -> Machine:
    """A machine at `address`, and a row in `team` that wishes it connected.

    `options` are lines of its sshd's configuration.
    """
    tools = directory / "bin"
    tools.mkdir(parents=True)
    if with_gpu:
        _install_gpu_tool(tools)
    environment = {"PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin"}
    server = sshd.start(
        directory, environment=environment, address=address, prefix=prefix, options=options
    )
    row = factories.make_connection(
        team,
        hostname=address,
        port=server.port,
        username=server.user,
        host_key=server.host_key_fingerprint,
        is_active=True,
    )
    row.set_secret("private_key", server.client_key)
    row.save()
    return Machine(row.pk, server, tools)


def _name(pid: int) -> str:
    """The program of a process; empty when it is gone."""
    try:
        return psutil.Process(pid).name().partition("-")[0]
    except psutil.NoSuchProcess:
        return ""


def _install_gpu_tool(tools: Path) -> None:
    """The fake `nvidia-smi` that plays a capture and notes each start."""
    capture = next(path for path in sorted(_CAPTURES.glob("*.xml")) if "mig" not in path.name)
    (tools / "nvidia-smi.json").write_text(json.dumps({"capture": str(capture)}))
    source = (_TESTS / "fakes" / "nvidia_smi.py").read_text()
    program = tools / "nvidia-smi"
    program.write_text(f"#!{sys.executable} -S\n" + source.partition("\n")[2])
    shutil.copymode(sys.executable, program)
