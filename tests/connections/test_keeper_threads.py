"""The keeper's own threads: one that dies runs again and is said, one that waits costs none."""

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection as database

from connections.keeper.keeper import Keeper
from connections.models import Keeper as Row
from core.background import own_connection, threads
from dgxsite import health
from tests.factories import make_connection
from tests.sshd import free_port
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]

StartKeeper = Callable[..., Keeper]


class Poison:
    """What no `except Exception` catches, as a panic in a library would be."""

    def __call__(self) -> None:
        raise SystemExit

    read = __call__


def kill_deciding(keeper: Keeper) -> None:
    keeper._report(uuid4(), Poison())


def kill_reading(keeper: Keeper) -> None:
    keeper._drain._ready.put(Poison())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kill", "what"),
    [(kill_deciding, "keeping the machines"), (kill_reading, "reading the machines")],
)
def test_a_thread_that_dies_makes_health_red_until_it_runs_again(
    start_keeper: StartKeeper,
    monkeypatch: pytest.MonkeyPatch,
    kill: Callable[[Keeper], None],
    what: str,
) -> None:
    monkeypatch.setattr(threads, "PROVEN_SECONDS", 0.5)
    keeper = start_keeper()
    until(lambda: health._ask_database()["keeper"] == health.OK)
    kill(keeper)

    def told() -> str:
        keeper.watch()  # as the clock does every two seconds
        return health._ask_database()["keeper"]

    until(lambda: told() == f"A part of a keeper has stopped: {what}.")
    until(lambda: told() == health.OK)
    assert Row.objects.count() == 1, "it is the same keeper"


def test_a_machine_that_waits_for_its_next_try_costs_no_thread(start_keeper: StartKeeper) -> None:
    rows = [
        make_connection(hostname="127.0.0.1", port=free_port(), is_active=True) for _ in range(5)
    ]
    keeper = start_keeper()
    until(lambda: all(keeper._held[row.pk].failures > 1 for row in rows if row.pk in keeper._held))
    until(lambda: len(keeper._held) == 5)
    assert [one for one in threading.enumerate() if isinstance(one, threading.Timer)] == []


def test_a_thread_may_have_a_connection_outside_the_pool() -> None:
    seen: list[object] = []

    def work() -> None:
        with own_connection.held():
            with database.cursor() as cursor:
                cursor.execute("SELECT 1")
            pool = database.pool  # type: ignore[attr-defined]  # PostgreSQL's alone
            seen.extend([pool, database.settings_dict["CONN_MAX_AGE"], database.close_at])

    options = database.settings_dict["OPTIONS"]
    options["pool"] = {"min_size": 1, "max_size": 1}
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        del options["pool"]
    assert seen == [None, None, None]
    assert database.settings_dict["CONN_MAX_AGE"] == 0, "other threads keep what they have"
