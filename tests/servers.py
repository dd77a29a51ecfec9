"""The real servers under the tests: one PostgreSQL for the run, one Redis for each process.

With pytest-xdist the controlling process starts PostgreSQL and hands its place to the workers
through the environment; each worker gets its own database there (pytest-django names it). Both
end with the process that started them, also when that is killed. Nobody cuts the power: what has
been written is the kernel's, and is not waited for on the disk.
"""

import atexit
import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from core import embedded
from dgxsite.up import children, servers

POSTGRES_VARIABLE = "DGX_TEST_POSTGRES"
_START_SECONDS = 60


def start() -> Path:
    """Start what is missing and point the environment at it; the process's private directory."""
    directory = Path(tempfile.mkdtemp(prefix="dgxsite-test-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    if POSTGRES_VARIABLE not in os.environ:
        server = servers.postgres(directory)
        # As many workers as there are, each with whole sites at times.
        options = ("-c", "fsync=off", "-c", "max_connections=200")
        _run(replace(server, argv=(*server.argv, *options)), directory)
        os.environ[POSTGRES_VARIABLE] = embedded.database_url(directory)
    _run(servers.redis_server(directory), directory)
    os.environ["DATABASE_URL"] = os.environ[POSTGRES_VARIABLE]
    os.environ["REDIS_URL"] = embedded.redis_url(directory)
    return directory


def _run(server: servers.Server, directory: Path) -> None:
    with (directory / f"{server.name}.log").open("wb") as log:
        child = children.start(server.argv, death_signal=server.stop_signal, output=log)
    atexit.register(children.stop, child, server.stop_signal, 10)
    deadline = time.monotonic() + _START_SECONDS
    while not server.is_ready():
        if child.poll() is not None or time.monotonic() > deadline:
            log_text = (directory / f"{server.name}.log").read_text(errors="replace")
            raise RuntimeError(f"{server.name} did not start: {log_text[-2000:]}")
        time.sleep(0.02)
