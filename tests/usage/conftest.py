"""A ledger with room for the tests' days, empty afterwards."""

from datetime import timedelta

import pytest
from django.db import connection

from connections.models import Keeper
from tests.metrics.machines import MOMENT, make_keeper
from usage import tables


@pytest.fixture
def ledger(transactional_db: None):
    tables.ensure_days([MOMENT.date() - timedelta(days=31), MOMENT.date()])
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE usage_minute, usage_hour, usage_day")


@pytest.fixture
def keeper(ledger: None) -> Keeper:
    return make_keeper()
