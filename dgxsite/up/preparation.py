"""What has to be true before the site serves: tables, partitions, static files, first rows.

Each step looks first and does nothing when nothing is to be done, because every start runs them.
Two sites that start over one database take turns.
"""

import fcntl
import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from accounts import audit
from accounts.models import AuditEvent, Team
from accounts.signin import setup
from connections.models import Connection, Transport
from metrics.history import tiers
from usage import tables

# Any constant of our own; PostgreSQL's advisory locks are numbers.
_TURN = 0x64677873

FIRST_START = "site.first_start"


@contextmanager
def turn() -> Iterator[None]:
    """Only one preparation at a time over this database; a dead one's turn ends with it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_TURN])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_TURN])


def migrate() -> int:
    """Bring the tables up to date; the number of migrations that were applied."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
    return len(plan)


def ensure_partitions(today: date) -> None:
    """The history and the usage ledger have room for today and the days to come."""
    tiers.ensure_partitions(today)
    tables.ensure_partitions(today)


def collect_static_files() -> bool:
    """Copy, hash and compress the static files if one of them changed; whether it was needed."""
    root = Path(settings.STATIC_ROOT)
    root.mkdir(parents=True, exist_ok=True)
    mark = root / ".collected"
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fingerprint = _static_fingerprint()
        if mark.exists() and mark.read_text(encoding="ascii") == fingerprint:
            return False
        mark.unlink(missing_ok=True)
        call_command("collectstatic", interactive=False, verbosity=0, skip_checks=True)
        mark.write_text(fingerprint, encoding="ascii")
    return True


def first_rows(*, is_demo: bool) -> str | None:
    """The default team and the way to the first administrator; what was never there before.

    Returns the secret of the set-up link while there is no administrator.
    """
    token = setup.prepare()
    with transaction.atomic():
        if not AuditEvent.objects.filter(action=FIRST_START).exists():
            audit.record(None, FIRST_START, is_demo=is_demo)
    return token


def add_this_machine() -> None:
    """The machine that the site runs on, so that a newcomer sees real numbers at once.

    It is made once in the life of the site: who deletes it does not get it again.
    """
    made = "site.this_machine"
    if AuditEvent.objects.filter(action=made).exists():
        return
    with transaction.atomic():
        machine = Connection.objects.create(
            team=Team.default(),
            name=socket.gethostname()[:100] or "this machine",
            transport=Transport.LOCAL,
            hostname="",
            is_active=True,
        )
        audit.record(None, made, machine)


class NotADemo(Exception):
    """The data belong to a real site, into which no invented people and machines may come."""


def refuse_real_site() -> None:
    """Raises `NotADemo` unless the site is new or began as a demo."""
    if was_started_as_demo() is False:
        raise NotADemo(
            "These data belong to a real site; give the demo a directory of its own: "
            "DGX_DATA_DIR=var/demo"
        )


def was_started_as_demo() -> bool | None:
    """Whether the site began as a demo; None before its first start."""
    first = AuditEvent.objects.filter(action=FIRST_START).first()
    return None if first is None else bool(first.detail.get("is_demo"))


def _static_fingerprint() -> str:
    digest = hashlib.sha256(settings.STATIC_URL.encode())
    for finder in get_finders():
        for path, storage in finder.list(None):
            status = Path(storage.path(path)).stat()
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()
