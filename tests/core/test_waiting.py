"""Who waits outside PostgreSQL holds no connection to it, and never a transaction."""

import pytest
from django.db import connection, transaction

from core.web.waiting import give_back, outside_database


def used() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def is_held() -> bool:
    return connection.connection is not None


@pytest.mark.django_db(transaction=True)
def test_a_wait_gives_the_connection_back_and_a_query_takes_one_again() -> None:
    used()
    assert is_held()
    with outside_database():
        assert not is_held()
    used()
    assert is_held()


@pytest.mark.django_db(transaction=True)
def test_a_decorated_wait_gives_it_back_each_time() -> None:
    @outside_database()
    def wait() -> bool:
        return is_held()

    for _ in range(2):
        used()
        assert not wait()


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_inside_a_transaction() -> None:
    with transaction.atomic():
        used()
        with pytest.raises(RuntimeError, match="transaction"):
            give_back()
        assert is_held()
    give_back()
    assert not is_held()


@pytest.mark.django_db
def test_the_transaction_of_a_test_is_none() -> None:
    used()
    give_back()
    assert is_held()
    with transaction.atomic(), pytest.raises(RuntimeError, match="transaction"):
        give_back()


def test_who_has_none_gives_none_back() -> None:
    give_back()
