"""Trials of jobs on one site and one machine: no wrong final state, no double start.

`DGX_TRIALS` says how many, `DGX_FIRST_TRIAL` which is the first, `DGX_FAULTS` which faults
(`F4 F21`; else all). A trial that cannot go on is wrong, and the others still run.
"""

import os
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
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
from tests.faults.names import Names
from tests.faults.network import Network
from tests.faults.site import Server, Site

COUNT = int(os.environ.get("DGX_TRIALS") or (300 if CHAOS else 10))
FIRST = int(os.environ.get("DGX_FIRST_TRIAL") or 0)
ONLY = frozenset(os.environ.get("DGX_FAULTS", "").split())

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600 + 60 * COUNT)]


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
def names(room: Network | None, tmp_path: Path) -> Iterator[Names | None]:
    """A name server that knows the machine in the room; None where there can be none."""
    made = Names.open(tmp_path, room.address) if room is not None else None
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
    names: Names | None,
    host: Host,
    tmp_path: Path,
) -> Iterator[Stage]:
    owner = make_owner(host, names)
    server, address = own_postgres
    databases.copy(current_database_url(), address)
    prefix = names.prefix if names is not None else ()
    site = Site(tmp_path, address, settings.REDIS_URL, SCALE, prefix)
    connection.close()
    try:
        yield Stage(site, host, owner, server, room, names)
    finally:
        site.close()


def test_every_end_is_what_the_machine_says(
    stage: Stage, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = request.config.getoption("randomly_seed")
    deck = _deck(stage)
    results = []
    say = _speaker(capsys)
    say(f"seed {seed}: again with SEED={seed}, one alone with DGX_FIRST_TRIAL= and DGX_TRIALS=1")
    for number in range(FIRST, FIRST + COUNT):
        dice = random.Random(f"{seed}-{number}")
        result = trial.run(stage, f"trial-{number}", _deal(deck, seed, number), dice)
        say("\n  !! ".join([result.line, *result.complaints]))
        results.append(result)
    wrong = [result for result in results if result.complaints]
    say(f"{len(results)} trials, {len(wrong)} wrong; {_times(results)}")
    assert not wrong, "\n".join("\n  ".join([one.line, *one.complaints]) for one in wrong)


def _speaker(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Says a line at once where somebody waits for it for an hour, else only if the test fails."""

    def say(line: str) -> None:
        with capsys.disabled() if CHAOS else nullcontext():
            print(line, flush=True)

    return say


def _deck(stage: Stage) -> list[Fault]:
    """The faults that can be made here and are wanted."""
    there = [fault for fault in FAULTS if not fault.needs or getattr(stage, fault.needs)]
    return [fault for fault in there if not ONLY or fault.number in ONLY]


def _deal(deck: list[Fault], seed: int, number: int) -> Fault:
    """The faults in a random order, each once before one comes again."""
    rounds, place = divmod(number, len(deck))
    return random.Random(f"{seed}-deck-{rounds}").sample(deck, len(deck))[place]


def _times(results: list[trial.Result]) -> str:
    seconds = sorted(result.seconds for result in results)
    p95 = seconds[min(len(seconds) - 1, round(0.95 * len(seconds)))]
    return f"mean {statistics.fmean(seconds):.1f} s, p95 {p95:.1f} s, longest {seconds[-1]:.1f} s"
