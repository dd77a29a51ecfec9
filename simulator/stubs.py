"""A real process behind each simulated job, so that its pid is true and `kill` ends the job."""

import os
import shutil
import subprocess
from collections.abc import Mapping

from simulator.physics import Machine

_FOREVER_SECONDS = "100000000"


class Stubs:
    """The processes of one machine's jobs; each only sleeps."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def follow(self, machine: Machine) -> None:
        """Start a process for each new job, end those of ended jobs, end jobs that were killed."""
        killed = {pid for pid, child in self._children.items() if child.poll() is not None}
        machine.jobs = [job for job in machine.jobs if job.pid not in killed]
        for job in machine.jobs:
            if job.pid not in self._children:
                child = _start(job.name, self._environment)
                job.pid = child.pid
                self._children[child.pid] = child
        wanted = {job.pid for job in machine.jobs}
        for pid in set(self._children) - wanted:
            _end(self._children.pop(pid))

    def end(self) -> None:
        """End them all."""
        while self._children:
            _end(self._children.popitem()[1])


def _start(name: str, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    sleep = os.path.realpath(shutil.which("sleep") or "/bin/sleep")
    # A program that holds many tools decides by its own name which one it is.
    shown = "sleep" if os.path.basename(sleep) != "sleep" else name
    return subprocess.Popen(
        [shown, _FOREVER_SECONDS],
        executable=sleep,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    child.wait()
