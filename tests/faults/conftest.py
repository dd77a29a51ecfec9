"""A site, machines and servers for each trial; whatever happens, they end with it."""

import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection

from core import embedded
from core.server_urls import redis_database
from dgxsite.up import servers
from tests import factories
from tests.faults import SCALE, machines
from tests.faults.machines import Machine
from tests.faults.network import Network
from tests.faults.records import Samples
from tests.faults.site import Server, Site

StartMachines = Callable[..., list[Machine]]
StartSite = Callable[..., Site]
Collect = Callable[[Site, Collection[Machine]], Samples]


@pytest.fixture
def start_machines(transactional_db: None, tmp_path: Path) -> Iterator[StartMachines]:
    """Starts so many machines of one team."""
    running: list[Machine] = []

    def start(count: int = 1, **options: Any) -> list[Machine]:
        team = factories.make_team()
        for _ in range(count):
            directory = tmp_path / f"machine-{len(running)}"
            running.append(machines.start(directory, team, **options))
        return running[-count:]

    yield start
    for machine in running:
        machine.server.stop()


@pytest.fixture
def start_site(start_machines: StartMachines, tmp_path: Path) -> Iterator[StartSite]:
    """Makes a site over this test's database, and its Redis unless another is given."""
    running: list[Site] = []

    def start(database_url: str = "", redis_url: str = "", scale: float = SCALE) -> Site:
        directory = tmp_path / f"site-{len(running)}"
        directory.mkdir()
        url = database_url or current_database_url()
        running.append(Site(directory, url, redis_url or settings.REDIS_URL, scale))
        return running[-1]

    yield start
    for site in running:
        site.close()


@pytest.fixture
def site(start_site: StartSite, redis_client: redis.Redis) -> Site:
    """A site over this test's servers."""
    return start_site()


@pytest.fixture
def collect() -> Iterator[Collect]:
    """Starts to collect the samples of some machines."""
    running: list[Samples] = []

    def start(site: Site, of: Collection[Machine]) -> Samples:
        url = redis_database(site.redis_url, 2)
        running.append(Samples(url, [machine.id for machine in of]))
        return running[-1]

    yield start
    for samples in running:
        samples.close()


@pytest.fixture
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A Redis that may be killed, and its address."""
    directory = tmp_path_factory.mktemp("redis")
    server = Server(servers.redis_server(directory), directory / "redis.log")
    server.start()
    yield server, embedded.redis_url(directory)
    server.close()
    _remove_sockets(directory)


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A PostgreSQL that may be killed, and its address; it is empty."""
    directory = tmp_path_factory.mktemp("postgres")
    program = servers.postgres(directory)
    # What a killed process has written stays with the kernel: without fsync recovery is as whole,
    # and the length of an outage does not depend on the disk.
    program = replace(program, argv=(*program.argv, "-c", "fsync=off"))
    server = Server(program, directory / "postgres.log")
    server.start()
    yield server, embedded.database_url(directory)
    server.close()
    _remove_sockets(directory)


@pytest.fixture
def network() -> Iterator[Network]:
    """A machine room of its own, whose only cable can be cut."""
    room = Network.open()
    yield room
    room.close()


def current_database_url() -> str:
    """The address of this test's database."""
    database = connection.settings_dict
    return f"postgresql:///{database['NAME']}?host={database['HOST']}&user=postgres"


def _remove_sockets(directory: Path) -> None:
    """Long paths have their sockets elsewhere."""
    sockets = embedded.socket_directory(directory)
    if directory not in sockets.parents:
        shutil.rmtree(sockets, ignore_errors=True)
