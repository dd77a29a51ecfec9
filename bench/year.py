"""A program: a year of history for one machine and the hours and days of 49 more; then ask for it.

Prints its figures as one line of JSON. It works in the bench's own database and nowhere else.
"""

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dgxsite.settings")

import django
import psycopg

django.setup()

from django.conf import settings  # noqa: E402 (the rest needs the apps)
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402

from accounts.models import ApiToken, Membership, Team, User  # noqa: E402
from bench.history import SERIES  # noqa: E402
from connections.models import Connection  # noqa: E402
from dgxsite.up import preparation  # noqa: E402
from metrics.history import rollup, rollup_queue, tiers  # noqa: E402
from metrics.history.catalogue import MACHINE_METRICS  # noqa: E402
from metrics.history.query import RANGES  # noqa: E402
from metrics.history.saver import MOST_WINDOWS  # noqa: E402
from metrics.history.window import Values, Window  # noqa: E402
from metrics.live import persist  # noqa: E402
from metrics.models import Machine  # noqa: E402

MACHINES = 50
_SECONDS = tiers.RAW.resolution_seconds
_ASKED = 40


def main(days: int, rows_file: Path) -> dict[str, Any]:
    machines = _machines()
    end = tiers.HOURLY.start_of(datetime.now(UTC))
    start = end - timedelta(days=days)
    tiers.ensure_days([(start + timedelta(days=day)).date() for day in range(days + 2)])
    figures: dict[str, Any] = {"rows": days * 86_400 // _SECONDS}
    figures["write_seconds"] = _write(machines[0], start, figures["rows"])
    _to_file(rows_file)
    with _timed() as rolled:
        figures["hours"] = rollup.roll_up(end)
    figures["roll_up_seconds"] = rolled()
    _copy_to_others(machines, end)
    figures["ranges"] = _ask(machines)
    return figures


def _machines() -> list[Machine]:
    preparation.migrate()
    Connection.objects.all().delete()
    team = Team.default()
    rows = Connection.objects.bulk_create(
        Connection(team=team, name=f"year-{number}", hostname="192.0.2.1", username="ml")
        for number in range(MACHINES)
    )
    return Machine.objects.bulk_create(Machine(connection=row) for row in rows)


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    started = time.perf_counter()
    ended = 0.0
    yield lambda: ended
    ended = time.perf_counter() - started


def _write(machine: Machine, start: datetime, count: int) -> float:
    """Seconds to store the windows as a keeper does after a long time without the database."""
    day = list(_day(random.Random(1)))
    spent = 0.0
    for first in range(0, count, MOST_WINDOWS):
        windows = [
            (machine.pk, _window(start, step, day[step % len(day)]))
            for step in range(first, min(first + MOST_WINDOWS, count))
        ]
        started = time.perf_counter()
        with transaction.atomic():
            rollup_queue.note(tiers.HOURLY, persist._hours(windows))
            persist.copy(tiers.RAW.machine, persist._machine_rows(windows))
        spent += time.perf_counter() - started
    return spent


def _window(start: datetime, step: int, numbers: Values) -> Window:
    return Window(start + timedelta(seconds=_SECONDS * (step + 1)), 10, numbers, ())


def _day(generator: random.Random) -> Iterable[Values]:
    """A day of windows, whose values wander as those of a busy machine do."""
    values = [generator.uniform(10, 90) for _ in MACHINE_METRICS]
    for _ in range(86_400 // _SECONDS):
        numbers: list[float] = []
        for place, value in enumerate(values):
            values[place] = min(99.0, max(1.0, value + generator.gauss(0, 1.5)))
            spread = abs(generator.gauss(0, 2))
            numbers += [values[place], values[place] - spread, values[place] + spread]
        yield tuple(numbers)


def _to_file(path: Path) -> None:
    """The raw rows as COPY writes them, for who is measured beside us."""
    with connection.cursor() as cursor, path.open("wb") as file:
        statement = "COPY (SELECT * FROM metrics_raw_machine ORDER BY at) TO STDOUT"
        with cursor.copy(statement) as copy:
            for block in copy:
                file.write(block)


def _copy_to_others(machines: list[Machine], end: datetime) -> None:
    """The other machines have the same hours and days, and the windows of two days."""
    first, *others = [machine.pk for machine in machines]
    for tier in tiers.TIERS:
        names = ", ".join(name for name in (*tier.machine.key, *tier.machine.numbers))
        values = names.replace("machine,", "other,", 1)
        since = end - timedelta(days=2) if tier is tiers.RAW else datetime(2000, 1, 1, tzinfo=UTC)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {tier.machine.name} ({names}) SELECT {values} "
                f"FROM {tier.machine.name}, unnest(%s) other WHERE machine = %s AND at > %s",
                [others, first, since],
            )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _ask(machines: list[Machine]) -> dict[str, Any]:
    user, _ = User.objects.get_or_create(username="bench-history")
    Membership.objects.get_or_create(user=user, team=Team.default())
    token = ApiToken.issue(user, "bench")[1]
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    client = Client(headers=headers, SERVER_NAME="localhost")
    return {name: _ask_for(name, client, machines) for name in RANGES}


def _ask_for(name: str, client: Client, machines: list[Machine]) -> dict[str, Any]:
    """Times of whole requests and of their time in the database, in ms; the first warms up."""
    generator = random.Random(name)
    asked = [generator.choice(machines) for _ in range(_ASKED + 1)]
    every = [_request(client, machine, {"range": name}) for machine in asked][1:]
    one = [_request(client, machine, {"range": name, "metrics": SERIES}) for machine in asked][1:]
    return {
        "answer_ms": [answer_ms for answer_ms, _, _ in every],
        "database_ms": [database_ms for _, database_ms, _ in every],
        "bytes": every[-1][2],
        "one_ms": [answer_ms for answer_ms, _, _ in one],
    }


def _request(
    client: Client, machine: Machine, parameters: dict[str, str]
) -> tuple[float, float, int]:
    """Milliseconds of the whole, milliseconds in the database, and bytes of one answer."""
    started = time.perf_counter()
    with _queries() as queries:
        answer = client.get(
            f"/api/v1/connections/{machine.connection_id}/metrics/history", parameters
        )
    taken = 1000 * (time.perf_counter() - started)
    assert answer.status_code == 200, answer.content
    return taken, 1000 * sum(queries), len(answer.content)


@contextmanager
def _queries() -> Iterator[list[float]]:
    """The seconds of each query within the block, whichever kind of cursor asks."""
    spent: list[float] = []
    execute = psycopg.Cursor.execute

    def timed(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(*arguments, **options)
        finally:
            spent.append(time.perf_counter() - started)

    with patch.object(psycopg.Cursor, "execute", timed):
        yield spent


if __name__ == "__main__":
    temporary = Path(tempfile.gettempdir()).resolve()
    assert temporary in settings.DATA_DIR.parents, "not the database of a bench"
    assert settings.EMBEDDED_DATABASE, "not the database of a bench"
    print(json.dumps(main(int(sys.argv[1]), Path(sys.argv[2]))))
