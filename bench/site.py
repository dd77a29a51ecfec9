"""The site under measurement: private servers below a temporary directory, and its own programs.

They are the programs of `manage.py up`, started with the same command lines.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis

from bench.processes import Broken, running, tail, wait_until
from core import embedded
from dgxsite.up import programs, servers
from dgxsite.up.supervisor import Program

_CONNECT_SECONDS = 60.0
# What would lead the site's programs away from the private servers, or change what is measured.
_FOREIGN = ("DATABASE_URL", "REDIS_URL", "DGX_", "DJANGO_", "CELERY_", "PG")

_STATES = """
SELECT count(*) FILTER (WHERE c.status = 'connected'),
       extract(epoch FROM max(c.connected_at) - min(k.started_at))
FROM connections_connection c LEFT JOIN connections_keeper k ON k.id = c.owner_id
"""


@dataclass(frozen=True)
class Site:
    """The running servers, and how to reach them."""

    directory: Path
    environment: Mapping[str, str]
    postgres_pid: int
    redis_pid: int

    @property
    def samples_client(self) -> redis.Redis:
        socket = embedded.socket_directory(self.directory) / "redis.sock"
        return redis.Redis(unix_socket_path=str(socket), db=2)

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"


@dataclass(frozen=True)
class Keeping:
    """A keeper and its clock, holding every machine."""

    keeper_pid: int
    beat_pid: int
    connect_seconds: float


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[Site]:
    """PostgreSQL and Redis, empty."""
    directory.mkdir(mode=0o700)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)
    }
    environment |= {
        "DGX_DATA_DIR": str(directory),
        "DGX_ALLOW_LOOPBACK": "1",
        "DGX_LOG_LEVEL": "WARNING",
    }
    with contextlib.ExitStack() as stack:
        pids = []
        for server in (servers.postgres(directory), servers.redis_server(directory)):
            log = directory / f"{server.name}.log"
            process = stack.enter_context(
                running(server.argv, log, environment, server.stop_signal)
            )
            wait_until(server.is_ready, 60, server.name, log)
            pids.append(process.pid)
        yield Site(directory, environment, *pids)


def seed(site: Site, fleet: Path) -> str:
    """Put the machines of `fleet.json` into the database; a token that may read them."""
    site.samples_client.flushall()
    return _said(site, "bench.rows", str(fleet), seconds=120, what="The rows could not be made")


def answer(site: Site, module: str, *arguments: str, seconds: float, what: str) -> dict[str, Any]:
    """What `python -m module` prints last, as JSON; `Broken` when it ends badly."""
    said = _said(site, module, *arguments, seconds=seconds, what=f"{what} could not be measured")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def _said(site: Site, module: str, *arguments: str, seconds: float, what: str) -> str:
    """All that a program of the bench prints; `Broken` with `what` when it ends badly."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=dict(site.environment),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode != 0:
        raise Broken(f"{what}: {done.stderr[-1500:]}")
    return done.stdout.strip()


@contextlib.contextmanager
def keeping(site: Site, machines: int) -> Iterator[Keeping]:
    """A keeper and beat, once every machine is connected and has been read."""
    with _program(site, programs.keeper()) as keeper, _program(site, programs.beat()) as beat:
        wait_until(
            lambda: keeper.poll() is not None or samples_seen(site)[0] == machines,
            _CONNECT_SECONDS + machines / 5,
            "not every machine was read",
            site.log("keeper"),
        )
        if keeper.poll() is not None:
            raise Broken(f"The keeper ended: {tail(site.log('keeper'))}")
        yield Keeping(keeper.pid, beat.pid, _connect_seconds(site, machines))


@contextlib.contextmanager
def web(site: Site, port: int) -> Iterator[int]:
    """Pages and sockets on loopback, once they answer; the process id."""
    with _program(site, programs.web("127.0.0.1", port)) as process:
        wait_until(lambda: _answers(port), 60, "the web process does not answer", site.log("web"))
        yield process.pid


def samples_seen(site: Site) -> tuple[int, int]:
    """How many machines have a sample, and how many samples there were, by their numbers."""
    client = site.samples_client
    keys = client.keys("dgx:last:*")
    texts = client.mget(keys) if keys else []
    numbers = [json.loads(text)["seq"] for text in texts if text is not None]
    client.close()
    return len(numbers), sum(numbers)


def _connect_seconds(site: Site, machines: int) -> float:
    """From the keeper's first tick to the last machine's first sample."""
    connected, seconds = 0, 0.0

    def all_said() -> bool:
        nonlocal connected, seconds
        with psycopg.connect(embedded.database_url(site.directory)) as database:
            connected, seconds = database.execute(_STATES).fetchone() or (0, 0.0)
        return bool(connected == machines)

    wait_until(all_said, 30, "not every machine is connected", site.log("keeper"))
    return float(seconds)


@contextlib.contextmanager
def _program(site: Site, program: Program) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**site.environment, **program.environment}
    assert program.stop_signal == signal.SIGTERM
    with running(program.argv, site.log(program.name), environment) as process:
        yield process


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True  # it says which part is missing, so it runs
    except OSError:
        return False
