"""gpustat-web itself, from PyPI, in a virtual environment that is thrown away afterwards.

It polls as it was published; only its web page is kept on loopback, which it has no option for.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.processes import running

_INTERVAL_SECONDS = 2
_ON_LOOPBACK = """
from aiohttp import web
serve = web.run_app
web.run_app = lambda app, *, host, **rest: serve(app, host="127.0.0.1", **rest)
from gpustat_web.app import main
main()
"""


class Installation:
    """`pip install gpustat-web` in the background, while nothing is measured yet."""

    def __init__(self, folder: Path) -> None:
        self._python = folder / "bin" / "python"
        self._log = folder.with_suffix(".log")
        install = (
            '"$0" -m venv --without-pip "$1" &&'
            ' "$0" -m pip --python "$1/bin/python" install --quiet --no-compile gpustat-web'
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", install, sys.executable, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def python(self, seconds: float = 120.0) -> Path | None:
        """The environment's interpreter; None if it cannot be had."""
        try:
            done = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            return None
        return self._python if done == 0 else None

    def stop(self) -> None:
        """Give up."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 15)
            self._process.wait()

    def version(self) -> str:
        code = "from importlib.metadata import version; print(version('gpustat-web'))"
        return subprocess.check_output([self._python, "-c", code], text=True, timeout=30).strip()


@contextlib.contextmanager
def polling(
    python: Path, machines: list[dict[str, Any]], folder: Path, port: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """gpustat-web over these machines; it takes its key from the home directory."""
    keys = folder / "home" / ".ssh"
    keys.mkdir(parents=True, mode=0o700)
    shutil.copy(machines[0]["private_key_path"], keys / "id_ed25519")
    hosts = [f"{machine['hostname']}:{machine['port']}" for machine in machines]
    options = ["--port", str(port), "--interval", str(_INTERVAL_SECONDS), "--no-verify-host"]
    environment = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"} | {
        "HOME": str(folder / "home")
    }
    argv = [str(python), "-c", _ON_LOOPBACK, *options, *hosts]
    with running(argv, folder / "gpustat-web.log", environment) as process:
        yield process
