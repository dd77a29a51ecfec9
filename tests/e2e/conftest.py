"""A whole site in this process: a keeper that collects, over real servers."""

from collections.abc import Iterator

import pytest
import redis
from pytest_django import Settings

from connections.keeper import keeper as keeping
from connections.keeper import process
from connections.keeper.keeper import Keeper
from dgxsite import wiring
from metrics.live import ingest
from tests.connections.conftest import quick  # noqa: F401 (a fixture)


@pytest.fixture
def site(
    quick: None,  # noqa: F811
    settings: Settings,
    transactional_db: None,
    redis_client: redis.Redis,
) -> Iterator[Keeper]:
    """The keeper of this process, collecting samples until the test ends."""
    settings.KEEPER_TTL_SECONDS = 8.0  # nobody is to take over here
    with keeping.on_connected.only(), keeping.on_round.only(), ingest.on_sample.only():
        wiring.connect_keeper()
        running = process.start()
        yield running
        process.stop()
