"""Trials of jobs on one site and one machine: no wrong final state, no double start."""

import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import connection

from tests.faults import CHAOS, databases
from tests.faults.conftest import current_database_url
from tests.faults.jobs import SCALE, trial
from tests.faults.jobs.faults import FAULTS, Fault
from tests.faults.jobs.host import Host
from tests.faults.jobs.stage import Stage, make_owner
from tests.faults.network import Network
from tests.faults.site import Server, Site

COUNT = int(os.environ.get("DGX_TRIALS") or (300 if CHAOS else 10))
FIRST = int(os.environ.get("DGX_FIRST_TRIAL") or 0)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240 + 30 * COUNT)]


@pytest.fixture
def room() -> Iterator[Network | None]:
    """A machine room whose cable can be cut; None where none can be made."""
    made = None
    with suppress(pytest.skip.Exception):
        made = Network.open()
    yield made
    if made is not None:
        made.close()


@pytest.fixture
def host(room: Network | None, tmp_path: Path) -> Iterator[Host]:
    address, prefix = (room.address, room.prefix) if room else ("127.0.0.1", ())
    host = Host(tmp_path / "host", address, prefix)
    yield host
    host.close()


@pytest.fixture
def stage(
    transactional_db: None,
    redis_client: redis.Redis,
    own_postgres: tuple[Server, str],
    room: Network | None,
    host: Host,
    tmp_path: Path,
) -> Iterator[Stage]:
    owner = make_owner(host)
    server, address = own_postgres
    databases.copy(current_database_url(), address)
    site = Site(tmp_path, address, settings.REDIS_URL, SCALE)
    connection.close()
    try:
        yield Stage(site, host, owner, server, room)
    finally:
        site.close()


def test_every_end_is_what_the_machine_says(stage: Stage, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("randomly_seed")
    print(f"seed {seed}: again with SEED={seed}, one alone with DGX_FIRST_TRIAL= and DGX_TRIALS=1")
    wrong = []
    for number in range(FIRST, FIRST + COUNT):
        dice = random.Random(f"{seed}-{number}")
        result = trial.run(stage, f"trial-{number}", _deal(stage, seed, number), dice)
        print(result.line, *result.complaints, sep="\n  !! ")
        wrong += [f"{result.line}: {'; '.join(result.complaints)}"] * bool(result.complaints)
    assert not wrong, "\n".join(wrong)


def _deal(stage: Stage, seed: int, number: int) -> Fault:
    """The faults in a random order, each once before one comes again."""
    deck = [fault for fault in FAULTS if stage.room is not None or not fault.needs_room]
    rounds, place = divmod(number, len(deck))
    random.Random(f"{seed}-deck-{rounds}").shuffle(deck)
    return deck[place]
