"""Fixtures that every part of the suite may use."""

from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from dgxsite import isolation, redis_patience


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Tables are emptied between tests by TRUNCATE, which the audit trail refuses elsewhere."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent DISABLE TRIGGER audit_keeps_all")


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What one test made the process remember of a Redis that hung, and of rows that failed."""
    redis_patience.forget()
    isolation.forget()


@pytest.fixture
def redis_client() -> Iterator[redis.Redis]:
    """The samples database of this process's Redis; the whole Redis is empty before and after."""
    client = redis.Redis.from_url(settings.REDIS_SAMPLES_URL)
    client.flushall()
    yield client
    client.flushall()
    client.close()
