"""A ledger with room for the tests' days, empty afterwards."""

from datetime import timedelta

import pytest

from connections.models import Keeper
from tests.emptying import no_numbers
from tests.metrics.machines import MOMENT, make_keeper
from usage import tables


@pytest.fixture
def ledger(transactional_db: None):
    tables.ensure_days([MOMENT.date() - timedelta(days=31), MOMENT.date()])
    with no_numbers():
        yield


@pytest.fixture
def keeper(ledger: None) -> Keeper:
    return make_keeper()
