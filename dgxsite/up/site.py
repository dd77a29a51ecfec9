"""The whole site on one machine: which server and program starts when, and what is said of it.

Servers first, then what must be true before anybody calls (`dgxsite/up/preparation.py`), then the
programs of the site all at once. "Ready" is said when the site itself says that each part works.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from django.conf import settings
from django.db import OperationalError, connection

from dgxsite.demo import seed as demo_seed
from dgxsite.up import health_client, preparation, programs, servers
from dgxsite.up.console import Console
from dgxsite.up.instance_lock import Occupancy
from dgxsite.up.supervisor import Failed, Stopped, Supervisor

_SERVER_SECONDS = 60.0
_SIMULATOR_SECONDS = 60.0
_DATABASE_SECONDS = 30.0
# When to say that something still does not work; the site goes on trying.
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the site listens, as an address for people and for its own health check."""

    host: str
    port: int

    @property
    def local_url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def url(self) -> str:
        """What a person types; a proxy's address if there is one."""
        return settings.BASE_URL or self.local_url


def run(place: Place, console: Console, occupancy: Occupancy) -> None:
    """Serve until somebody asks for the end.

    Raises `servers.CannotStart`, `Failed` or `preparation.NotADemo` when the start cannot succeed;
    nothing is left running then.
    """
    supervisor = Supervisor(console, occupancy)
    supervisor.listen_to_signals()
    try:
        start_servers(supervisor)
        _prepare(supervisor, place, console)
        for program in (
            programs.web(place.host, place.port),
            programs.keeper(),
            programs.beat(),
        ):
            supervisor.start(program)
        _serve(supervisor, place, console)
    except Stopped:
        pass
    finally:
        console.say("stopping")
        supervisor.stop()
        console.say("stopped")


def start_servers(supervisor: Supervisor) -> None:
    """The embedded servers whose addresses are not given, ready to be used."""
    if settings.EMBEDDED_REDIS:
        start_server(supervisor, servers.redis_server(settings.DATA_DIR))
    if settings.EMBEDDED_DATABASE:
        start_server(supervisor, servers.postgres(settings.DATA_DIR))


def start_server(supervisor: Supervisor, server: servers.Server) -> None:
    supervisor.start(programs.server(server))
    supervisor.wait_for(server.name, server.is_ready, _SERVER_SECONDS)


def _prepare(supervisor: Supervisor, place: Place, console: Console) -> None:
    fleet = settings.DATA_DIR / "simulator"
    if settings.DEMO:
        supervisor.start(programs.simulator(fleet))
    _wait_for_database(supervisor, console)
    with preparation.turn():
        if applied := preparation.migrate():
            console.say(f"applied {applied} migrations")
        preparation.ensure_partitions(datetime.now(UTC).date())
        if settings.DEMO:
            preparation.refuse_real_site()
        token = preparation.first_rows(is_demo=settings.DEMO)
        preparation.add_this_machine()
    if preparation.collect_static_files():
        console.say("collected the static files")
    if settings.DEMO:
        _prepare_demo(supervisor, fleet, console)
    elif token is not None:
        _show_setup_link(place, token, console)
    # The pool has threads, and who forks should have none.
    connection.close_pool()  # type: ignore[attr-defined] # PostgreSQL's alone


def _prepare_demo(supervisor: Supervisor, fleet: Path, console: Console) -> None:
    description = fleet / "fleet.json"
    supervisor.wait_for("simulator", description.exists, _SIMULATOR_SECONDS)
    logins = demo_seed.seed(description)
    file = demo_seed.keep_logins(settings.DATA_DIR, logins)
    if logins:
        lines = [f"{name:<10} {password}" for name, password in logins.items()]
        console.notice(["Logins of this demo (kept in " + str(file) + "):", *lines])


def _show_setup_link(place: Place, token: str, console: Console) -> None:
    console.notice(
        [
            "There is no administrator yet. Open this link once to make the first one:",
            f"{place.url}/setup/{token}",
        ]
    )


def _wait_for_database(supervisor: Supervisor, console: Console) -> None:
    """A given server may still be starting."""
    deadline = time.monotonic() + _DATABASE_SECONDS
    while True:
        try:
            connection.ensure_connection()
            return
        except OperationalError as error:
            if time.monotonic() > deadline:
                raise Failed(f"The database does not answer: {error}") from error
        console.say("waiting for the database")
        supervisor.serve(1.0)
        if supervisor.is_stopping:
            raise Stopped


def _serve(supervisor: Supervisor, place: Place, console: Console) -> None:
    next_question, next_complaint = 0.0, time.monotonic() + _PATIENCE_SECONDS
    is_ready = False
    while not supervisor.is_stopping:
        supervisor.serve(0.1 if not is_ready else 3600.0)
        now = time.monotonic()
        if is_ready or now < next_question:
            continue
        problem = health_client.complaint(health_client.checks(place.local_url, _host_header()))
        next_question = now + 0.25
        if not problem:
            is_ready = True
            seconds = time.time() - psutil.Process().create_time()
            console.notice([f"Ready after {seconds:.1f} s: {place.url}", "Ctrl-C stops it."])
        elif now > next_complaint:
            console.say(f"not ready yet: {problem}")
            next_complaint = now + _PATIENCE_SECONDS


def _host_header() -> str:
    """A name under which the site lets itself be called."""
    name = settings.ALLOWED_HOSTS[0]
    return "localhost" if name == "*" else name.lstrip(".")
