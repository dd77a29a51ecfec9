"""Copy the whole database into a file and back, with PostgreSQL's own programs.

The file holds no key: secrets in it stay encrypted, and the keys of the data directory have to be
kept elsewhere. Passwords of the address travel in the environment, never on a command line.
"""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.db import connection, transaction
from django.db.models import BigIntegerField, F, Value
from django.db.models.functions import Extract, Greatest, Now
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from accounts import audit
from connections.models import Connection, Keeper, Status
from dgxsite.up import restored, servers, site
from dgxsite.up.console import Console
from dgxsite.up.instance_lock import Occupancy, Occupied
from dgxsite.up.supervisor import Supervisor


class CopyFailed(Exception):
    """What PostgreSQL's program said."""


class KeepersAlive(Exception):
    """A running site would write into the database that is being replaced."""


@contextmanager
def database(console: Console) -> Iterator[None]:
    """A database to talk to: the running one, else the embedded one for as long as we need it."""
    if not settings.EMBEDDED_DATABASE:
        yield
        return
    try:
        occupancy = Occupancy(settings.DATA_DIR)
    except Occupied:  # the site runs and so does its database
        yield
        return
    occupancy.end_leftovers()
    occupancy.announce("a backup or restore")
    supervisor = Supervisor(console, occupancy)
    try:
        site.start_server(supervisor, servers.postgres(settings.DATA_DIR))
        yield
    finally:
        connection.close()
        supervisor.stop()
        occupancy.release()


def write(target: Path) -> None:
    """A new file of mode 0600 that is there completely or not at all."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _run("pg_dump", ["--format=custom", "--no-owner", "--no-acl"], output=file.fileno())
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def read(source: Path) -> dict[str, int]:
    """Replace everything by the file's content, in one transaction; then nobody holds a machine.

    Nor is anybody logged in: how much was ended of each kind (`dgxsite.up.restored`).

    Raises `KeepersAlive` while a keeper's heartbeat is fresh, `CopyFailed` when the file is no
    backup; the database is unchanged then.
    """
    if alive := living_keepers():
        raise KeepersAlive(f"Stop the site first: {', '.join(alive)} still runs.")
    connection.close()
    script = _script_of(source)
    try:
        with script.open("rb") as text:
            _run("psql", ["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1"], source=text.fileno())
    finally:
        script.unlink()
    with transaction.atomic():
        forget_leases()
        return restored.end_all()


def living_keepers() -> list[str]:
    """The names of keepers whose heartbeat is fresh, by the database's clock."""
    if Keeper._meta.db_table not in connection.introspection.table_names():
        return []
    youngest = Now() - timedelta(seconds=settings.KEEPER_TTL_SECONDS)
    return list(Keeper.objects.filter(heartbeat_at__gt=youngest).values_list("name", flat=True))


def forget_leases() -> None:
    """The restored rows name keepers of another time.

    Epochs jump to the clock's seconds: whatever a keeper of the replaced database wrote under its
    epochs, to Redis as well, is older than what the next one writes.
    """
    seconds = Extract(Now(), "epoch", output_field=BigIntegerField())
    with transaction.atomic():
        Connection.objects.update(
            owner=None,
            epoch=Greatest(F("epoch") + Value(1), seconds),
            status=Status.DISCONNECTED,
            reason="",
            detail="",
            retry_at=None,
        )
        Keeper.objects.all().delete()
        audit.record(None, "site.restore")


def _script_of(source: Path) -> Path:
    """The backup as SQL that begins by emptying the database; a private file beside the data."""
    script = settings.DATA_DIR / f".restore.{secrets.token_hex(6)}.sql"
    descriptor = os.open(script, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"DROP SCHEMA public CASCADE;\nCREATE SCHEMA public;\n")
            file.flush()
            options = ["--no-owner", "--no-acl", "--file=-", str(source)]
            _run("pg_restore", options, output=file.fileno(), needs_database=False)
    except BaseException:
        script.unlink()
        raise
    return script


def _run(
    program: str,
    options: list[str],
    *,
    source: int = subprocess.DEVNULL,
    output: int = subprocess.DEVNULL,
    needs_database: bool = True,
) -> None:
    parts = conninfo_to_dict(settings.DATABASE_URL)
    environment = dict(os.environ)
    if password := parts.pop("password", None):
        environment["PGPASSWORD"] = str(password)
    argv = [servers.postgres_program(program), *options]
    if needs_database:
        address = make_conninfo("", **cast("dict[str, Any]", parts))
        argv.append(f"--dbname={address}")
    result = subprocess.run(
        argv, stdin=source, stdout=output, stderr=subprocess.PIPE, env=environment, check=False
    )
    if result.returncode != 0:
        text = result.stderr.decode("utf-8", "replace").strip()
        raise CopyFailed(f"{program}: {text[-500:] or 'failed'}")
