"""A database that is killed and comes back: every minute is there, once."""

import signal

import pytest
from django.db import connection

from tests.metrics.machines import MOMENT, held_machine, holdings_of, make_keeper
from tests.metrics.test_persist import own_database  # noqa: F401 (a fixture)
from tests.usage.people import MINUTE, moments, process, sample, waiting
from usage import noting, tables

pytestmark = pytest.mark.django_db(transaction=True)


def test_minutes_wait_for_a_database_that_is_away(own_database, redis_client):  # noqa: F811
    keeper = make_keeper()
    machine = held_machine(keeper)
    tables.ensure_days([MOMENT.date()])
    held = holdings_of(machine)
    minutes = waiting(machine, [sample(at, process("ml")) for at in moments(60)])
    own_database.kill(signal.SIGQUIT)  # PostgreSQL's immediate shutdown
    assert noting.save(keeper.pk, held, MOMENT + 3 * MINUTE, minutes) == 0
    own_database.start()
    assert noting.save(keeper.pk, held, MOMENT + 3 * MINUTE, minutes) == 2
    assert noting.save(keeper.pk, held, MOMENT + 3 * MINUTE, minutes) == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT at, seconds FROM usage_minute ORDER BY at")
        assert cursor.fetchall() == [(MOMENT, 60.0), (MOMENT + MINUTE, 60.0)]
