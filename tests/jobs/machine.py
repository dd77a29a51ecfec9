"""A machine of the test's own: a home folder, a shell called `sh`, and our programs run in it."""

import os
import secrets
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobs.remote import protocol as remote_protocol
from tests.programs import require_program
from tests.waiting import until

SHELLS = ("dash", "bash", "busybox")


@dataclass
class Machine:
    """Runs launches as sshd would, for the current user, below `home`."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    # The first process of each job, once it was seen alive, as the site keeps it in a row.
    known: dict[uuid.UUID, remote_protocol.Known] = field(default_factory=dict)

    @property
    def jobs(self) -> Path:
        return self.home / ".dgxsite/jobs"

    def run(self, launch: remote_protocol.Launch, marker: str) -> remote_protocol.Report:
        done = self.execute(launch)
        return remote_protocol.parse(done.stdout, marker)

    def execute(self, launch: remote_protocol.Launch) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            ["sh", "-c", launch.command],
            input=launch.stdin,
            capture_output=True,
            env=self._environment(),
            cwd=self.home,
            timeout=60,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        path = f"{self.home}/bin:{os.environ['PATH']}"
        return {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8"} | self.environment

    def start(self, command: str, job_id: uuid.UUID | None = None, **files: str) -> uuid.UUID:
        """Start a job, `limits` as (bytes of log, seconds, grace)."""
        job_id = job_id or uuid.uuid4()
        marker = secrets.token_hex(16)
        self.run(remote_protocol.start(marker, job_id, self.files(command, **files)), marker)
        return job_id

    def files(self, command: str, **files: str) -> dict[str, bytes]:
        texts = {
            "command": command,
            "folder": str(self.home),
            "environment": "",
            "limits": "20480 1000000 3\n",
        } | files
        return {name: text.encode() for name, text in texts.items()}

    def see(
        self, job_id: uuid.UUID, offset: int = 0, limit: int = 1_000_000
    ) -> remote_protocol.Seen:
        marker = secrets.token_hex(16)
        ask = remote_protocol.Ask(job_id, offset, limit, self.known.get(job_id))
        seen = self.run(remote_protocol.report(marker, [ask]), marker).jobs[job_id]
        if seen.is_first_alive and seen.pid and seen.start and seen.boot_id:
            self.known.setdefault(job_id, remote_protocol.Known(seen.pid, seen.start, seen.boot_id))
        return seen

    def stop(self, job_id: uuid.UUID, *, kill: bool = False) -> remote_protocol.Seen:
        marker = secrets.token_hex(16)
        known = self.known.get(job_id)
        asks = [remote_protocol.Ask(job_id, 0, 1_000_000, known)]
        launch = remote_protocol.stop(marker, job_id, asks, kill=kill, known=known)
        return self.run(launch, marker).jobs[job_id]

    def ended(self, job_id: uuid.UUID) -> remote_protocol.Seen:
        """What is known once the job's end is written down."""
        return self.until(job_id, lambda seen: seen.exit_code is not None)

    def until(
        self, job_id: uuid.UUID, check: Callable[[remote_protocol.Seen], bool]
    ) -> remote_protocol.Seen:
        """What is known once `check` holds."""
        found: list[remote_protocol.Seen] = []

        def look() -> bool:
            found[:] = [self.see(job_id)]
            return check(found[0])

        until(look)
        return found[0]

    def processes(self) -> list[int]:
        """Everything that still runs for a job of this machine."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "environ").read_bytes() + (path / "cmdline").read_bytes()
            except OSError:
                continue
            if str(self.home).encode() in words:
                found.append(int(path.name))
        return found

    def clean(self) -> None:
        """End whatever is left."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def make_machine(home: Path, shell: str = "dash") -> Machine:
    """A machine whose `sh` is `shell`."""
    (home / "bin").mkdir(parents=True)
    (home / "bin/sh").symlink_to(require_program(shell))
    if shell == "busybox":
        for tool in ("setsid", "grep", "head", "tail", "tr", "sed", "sleep", "cat", "mv", "wc"):
            (home / "bin" / tool).symlink_to(require_program("busybox"))
    assert shutil.which("sh", path=str(home / "bin"))
    return Machine(home)
