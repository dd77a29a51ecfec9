"""A machine for the collectors' tests: the real program under a real shell with fake tools.

The program runs in a session of its own, as under sshd, with a directory of fake tools before
everything else on its PATH.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from metrics.collectors.program import HEARTBEAT, launch
from metrics.collectors.readings import Gpu, Health, Sample
from metrics.collectors.stream import Collector
from tests.programs import require_program

CAPTURES = Path(__file__).parent.parent / "captures"
FAKE_NVIDIA_SMI = Path(__file__).parent.parent / "fakes" / "nvidia_smi.py"
MARKER = "0123456789abcdef" * 2
BUSYBOX_TOOLS = ("dd", "cat", "sleep", "df", "ls", "grep", "kill")
# A session of our own, so that nothing of the tests is in the program's process group.
DEADLINE_SECONDS = 20.0


@dataclass
class Machine:
    """A directory of fake tools, and the collector that runs with them."""

    bin: Path
    interval_seconds: float = 0.2
    slow_seconds: float = 1.0
    patience_seconds: float = 30.0
    process: "subprocess.Popen[bytes] | None" = None
    collector: Collector = field(init=False)
    samples: list[Sample] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.collector = Collector(MARKER, self.interval_seconds)

    def install(self, name: str, text: str) -> Path:
        """Put an executable script among the fake tools."""
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def play(self, capture: str | None, **more: Any) -> None:
        """Install the fake nvidia-smi; `capture` and the other pieces lie in tests/captures."""
        pieces = {"capture": capture, **more}
        for name in ("capture", "compute_apps", "list"):
            if pieces.get(name):
                pieces[name] = str(CAPTURES / str(pieces[name]))
        (self.bin / "nvidia-smi.json").write_text(
            json.dumps({**pieces, "capture": pieces["capture"] or ""})
        )
        source = FAKE_NVIDIA_SMI.read_text().split("\n", 1)[1]
        self.install("nvidia-smi", f"#!{sys.executable} -SE\n{source}")

    def calls(self) -> list[str]:
        """How nvidia-smi was called so far."""
        noted = self.bin / "nvidia-smi.calls"
        return noted.read_text().splitlines() if noted.exists() else []

    def start(self, *login: str, **environment: str) -> None:
        """Start the program as sshd does: through the login shell's `-c`."""
        told = launch(
            MARKER,
            interval_seconds=self.interval_seconds,
            patience_seconds=self.patience_seconds,
            slow_seconds=self.slow_seconds,
        )
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        self.process = subprocess.Popen(
            [*(login or ("sh",)), "-c", told.command],
            executable=None if login else str(self.bin / "sh"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self.bin,  # csh takes `>&2` for a file of this name
            env={**os.environ, "PATH": path, **environment},
        )
        self.write(told.stdin)

    def write(self, data: bytes = HEARTBEAT) -> None:
        """Send bytes to the program's stdin."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def read(self, seconds: float = 0.1) -> None:
        """Feed what the program printed within `seconds`."""
        assert self.process is not None
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        if select.select([descriptor], [], [], seconds)[0]:
            data = os.read(descriptor, 65536)
            self.raw += data
            self.samples += self.collector.feed(data, datetime.now(UTC), time.monotonic())

    def until(
        self, wanted: Callable[[Sample], bool], *, within: float = DEADLINE_SECONDS
    ) -> Sample:
        """The first sample from now on that is as wanted."""
        deadline = time.monotonic() + within
        seen = len(self.samples)
        while time.monotonic() < deadline:
            self.read()
            for sample in self.samples[seen:]:
                if wanted(sample):
                    return sample
            seen = len(self.samples)
        last = self.samples[-1].as_dict() if self.samples else None
        raise AssertionError(f"no such sample; the last of {len(self.samples)}: {last}")

    def pids(self) -> list[int]:
        """The processes of the program's session that still run."""
        assert self.process is not None
        self.process.poll()
        return [pid for pid in psutil.pids() if _session(pid) == self.process.pid]

    def gone(self, *, within: float = DEADLINE_SECONDS) -> float:
        """Seconds until no process of the program is left."""
        began = time.monotonic()
        while self.pids():
            assert time.monotonic() - began < within, [_line(pid) for pid in self.pids()]
            time.sleep(0.02)
        return time.monotonic() - began

    def end(self) -> None:
        """Kill what is left, whatever the test did."""
        if self.process is None:
            return
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue


def make_machine(directory: Path, shell: str = "dash", **settings: Any) -> Machine:
    """A machine whose `sh` is the given shell; with busybox its tools are busybox's too."""
    tools = directory / "bin"
    tools.mkdir()
    found = require_program(shell)
    (tools / "sh").symlink_to(found)
    for name in BUSYBOX_TOOLS if shell == "busybox" else ():
        (tools / name).symlink_to(found)
    # The test machine's own docker says nothing about the program.
    machine = Machine(tools, **settings)
    machine.install("docker", "#!/bin/sh\nexit 0\n")
    return machine


def health(sample: Sample, source: str) -> Health:
    """A sample's entry about one source; one that is not there says so."""
    none = Health(source, False, "no entry")
    return next((entry for entry in sample.health if entry.source == source), none)


def is_complete(sample: Sample) -> bool:
    """Every source has spoken."""
    return len(sample.health) == 7


def gpu_values(gpu: Gpu) -> dict[str, Any]:
    """A GPU without its slices."""
    return {name: value for name, value in gpu.as_dict().items() if name != "mig"}


def _session(pid: int) -> int | None:
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return None
        return os.getsid(pid)
    except (ProcessLookupError, psutil.NoSuchProcess):
        return None


def _line(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:80]
    except psutil.NoSuchProcess:
        return "ended"
