"""A whole site as `manage.py up` starts it, in a directory and on a port of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from dgxsite.up import health_client
from tests.sshd import free_port

ROOT = Path(__file__).resolve().parents[2]
_OURS = ("DGX_", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "COV_", "PYTEST_")


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Nothing of the suite's own settings, and this data directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | {"DGX_DATA_DIR": str(data_dir)} | settings


def manage(data_dir: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(data_dir, **settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class RunningSite:
    """One `manage.py up`; `log` is what it printed so far."""

    def __init__(self, data_dir: Path, *options: str, **settings: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = data_dir.with_name(f"{data_dir.name}.{self.port}.log")
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--port", str(self.port), *options],
                cwd=ROOT,
                env=environment(data_dir, **settings),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"the site ended:\n{self.log}"
            assert time.monotonic() < deadline, f"it did not happen in time:\n{self.log}"
            time.sleep(0.1)

    def wait_until_ready(self, seconds: float = 90) -> None:
        self.wait_until(lambda: re.search(r"^  Ready after ", self.log, re.MULTILINE), seconds)

    def health(self) -> str:
        """What is wrong; empty when all is well."""
        return health_client.complaint(health_client.checks(self.url, "localhost"))

    def family(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def child(self, words: str) -> psutil.Process:
        """The child in whose command line these words stand."""
        for process in psutil.Process(self.process.pid).children():
            if words in " ".join(process.cmdline()):
                return process
        raise AssertionError(f"no child runs {words}:\n{self.log}")

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 20) -> float:
        """Ask for the end; how many seconds it took."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(seconds)
        return time.monotonic() - began

    def destroy(self) -> None:
        """End whatever a failed test left."""
        family = self.family() if self.process.poll() is None else []
        for process in family:
            if process.is_running():
                process.kill()
        self.process.wait()


def living(processes: list[psutil.Process]) -> list[str]:
    """The command lines of those that still run."""
    gone = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() not in gone:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def wait_until_gone(processes: list[psutil.Process], seconds: float = 10) -> list[str]:
    """Wait for their end; who is still there."""
    deadline = time.monotonic() + seconds
    while living(processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    return living(processes)
