"""Fixtures that every part of the suite may use."""

from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

import accounts.mail
from core import redis_patience
from core.background import isolation, wakeup
from core.web import known_callers
from tests.emptying import empty_models
from tests.signals import restore_defaults


def pytest_configure() -> None:
    restore_defaults()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The database is emptied between tests in our own, quicker way, and dropped in the end."""
    TransactionTestCase._fixture_teardown = _empty_models  # type: ignore[attr-defined]
    creation: Any = connection.creation
    creation._destroy_test_db = _drop


def _empty_models(_case: TransactionTestCase) -> None:
    empty_models()


def _drop(name: str, verbosity: int) -> None:
    """A thread of a server that has stopped may still have a session: it keeps no database."""
    creation: Any = connection.creation
    with creation._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE {connection.ops.quote_name(name)} WITH (FORCE)")


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What one test made the process remember: callers, a Redis that hung, rows that failed."""
    known_callers.forget()
    redis_patience.forget()
    isolation.forget()


@pytest.fixture(autouse=True)
def nothing_under_way() -> Iterator[None]:
    """What one test still sends reaches neither the mailbox nor the Redis of the next."""
    yield
    senders = [accounts.mail._sender, *(found._sender for found in wakeup.EVERY.values())]
    wait([sender.submit(lambda: None) for sender in senders], timeout=30)


@pytest.fixture
def redis_client() -> Iterator[redis.Redis]:
    """The samples database of this process's Redis; the whole Redis is empty before and after."""
    client = redis.Redis.from_url(settings.REDIS_SAMPLES_URL)
    client.flushall()
    yield client
    client.flushall()
    client.close()
