"""The servers that the suite stands on are the real ones."""

import pytest
import redis
from django.db import connection


@pytest.mark.django_db
def test_database_is_postgres_18() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        assert int(cursor.fetchone()[0]) >= 180000


def test_redis_answers(redis_client: redis.Redis) -> None:
    assert redis_client.ping()
