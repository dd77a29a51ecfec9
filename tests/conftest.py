"""Fixtures that every part of the suite may use."""

from collections.abc import Iterator
from concurrent.futures import wait

import pytest
import redis
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

import accounts.outgoing_mail
import connections.nudge
import exports.nudge
import jobs.nudge
import notifications.nudge
from dgxsite import isolation, known_callers, redis_patience

# What the product sends after its answer, each on a thread of its own.
SENDERS = [module._sender for module in (
    accounts.outgoing_mail, connections.nudge, exports.nudge, jobs.nudge, notifications.nudge,
)]  # fmt: skip


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Tables are emptied between tests by TRUNCATE, which the audit trail refuses elsewhere."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent DISABLE TRIGGER audit_keeps_all")
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        # A thread of a web server that has stopped may still have its own: it keeps no database.
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


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
    wait([sender.submit(lambda: None) for sender in SENDERS], timeout=30)


@pytest.fixture
def redis_client() -> Iterator[redis.Redis]:
    """The samples database of this process's Redis; the whole Redis is empty before and after."""
    client = redis.Redis.from_url(settings.REDIS_SAMPLES_URL)
    client.flushall()
    yield client
    client.flushall()
    client.close()
