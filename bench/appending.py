"""A program: pieces of a log appended one at a time, as the site does it and as it did before.

Before, the last piece was a row like any other and was written anew with each of them, until it had
64 KiB. Both are measured in turn over the same server. Prints its figures as one line of JSON.
"""

import json
import os
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dgxsite.settings")

import django

django.setup()

from django.db import connection, transaction  # noqa: E402 (the rest needs the apps)

from accounts.models import Team  # noqa: E402
from connections.models import Connection  # noqa: E402
from dgxsite.up import preparation  # noqa: E402
from jobs.log import store as log_store  # noqa: E402
from jobs.models import Job  # noqa: E402
from projects.models import Project  # noqa: E402

_LINE = b"epoch 3 step 1200 loss=0.48213 lr=0.0003 12.4 it/s 41 W 61.2 C\n"
_LINES, _DOTS = 1000, 2000
_BEGAN = datetime(2026, 11, 20, tzinfo=UTC)
_LEVEL = 5

Append = Callable[[bytes, datetime], object]


def main() -> dict[str, float]:
    return {
        "lines": _cost(_as_now(), _LINE, _LINES),
        "lines_before": _cost(_as_before(), _LINE, _LINES),
        "dots": _cost(_as_now(), b".", _DOTS),
        "dots_before": _cost(_as_before(), b".", _DOTS),
    }


def _cost(append: Append, piece: bytes, count: int) -> float:
    append(piece, _BEGAN)  # a page is journalled whole when it is first touched
    before = _journalled()
    for number in range(count):
        append(piece, _BEGAN + timedelta(seconds=number))
    return (_journalled() - before) / (count * len(piece))


def _journalled() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        return int(cursor.fetchone()[0])


def _as_now() -> Append:
    job = _job()
    return lambda data, at: log_store.append(job, data, at)


def _as_before() -> Append:
    job = _job()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS bench_log "
            "(job uuid PRIMARY KEY, length int, lines int, times jsonb, data bytea)"
        )
        cursor.execute("INSERT INTO bench_log VALUES (%s, 0, 0, '[]', '')", [job.pk])
    kept = bytearray()
    times: list[list[int]] = []

    @transaction.atomic
    def append(data: bytes, at: datetime) -> None:
        times.append([len(kept), int(at.timestamp() * 1000)])
        kept.extend(data)
        counts = [len(kept), kept.count(b"\n")]
        Job.objects.filter(pk=job.pk).update(log_bytes=counts[0], log_lines=counts[1])
        packed = zlib.compress(bytes(kept), _LEVEL)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE bench_log SET length = %s, lines = %s, times = %s, data = %s "
                "WHERE job = %s",
                [*counts, json.dumps(times), packed, job.pk],
            )

    return append


def _job() -> Job:
    name = os.urandom(8).hex()
    team = Team.objects.create(name=name)
    machine = Connection.objects.create(
        team=team, name=name, hostname="192.0.2.1", username="bench"
    )
    project = Project.objects.create(connection=machine, name=name, remote_path="/srv")
    return Job.objects.create(project=project, connection=machine, name=name, command="true")


if __name__ == "__main__":
    preparation.migrate()
    print(json.dumps(main()))
