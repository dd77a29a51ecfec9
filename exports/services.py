"""What people do with exports that are files: called alike by pages and the API.

Each action finds the row among those the caller may see, asks the policy, and writes the audit row
and the change in one transaction. `NotFound` for what the caller may not see, `Forbidden` for what
the role does not allow. The work itself is done by `exports.writer`: by the request for a dual
export somebody waits for, by a worker for the rest.
"""

import time
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.auth import rate_limits
from accounts.policy import Caller, forbidden, may
from connections import services as connections
from connections.files import own_folders, upload
from connections.models import Connection, Transport
from core.background.wakeup import WORKERS, Wakeup
from core.errors import Conflict, Invalid, NotFound
from core.soft_delete import TrashQuerySet
from core.web.waiting import outside_database
from exports import room, writer
from exports.models import UNFINISHED, Export, Kind, State
from exports.plan import FORMATS, RANGES

# Each may log in to a machine.
MAKES_PER_MINUTE = 30
_WAIT_SECONDS = 60.0
_LOOK_SECONDS = 0.25

wake_workers = Wakeup("exports.work", WORKERS)


def visible(caller: Caller) -> QuerySet[Export]:
    """The exports that the caller may see, ready to be shown, newest first."""
    rows: QuerySet[Export] = Export.objects.visible_to(caller.user)
    return rows.select_related("connection__team", "requested_by", "schedule")


def find(caller: Caller, export_id: UUID, action: str = "export.view") -> Export:
    """One row for one action."""
    row = visible(caller).filter(pk=export_id).first()
    if row is None:
        raise NotFound
    if not may(caller, action, row.connection.team):
        raise forbidden(action)
    return row


def draft(
    caller: Caller,
    connection_id: UUID,
    *,
    kind: str = Kind.DUAL,
    range_: str | None = None,
    format_: str = "json",
    remote_directory: str | None = None,
) -> Export:
    """A checked row that is not stored yet. `Invalid` for what makes no sense."""
    connection = connections.find(caller, connection_id, "export.make")
    check(kind, range_, format_)
    if remote_directory is not None:
        if kind != Kind.DUAL:
            raise Invalid.field("remote_directory", "Only a dual export goes to the machine.")
        upload.check_directory(remote_directory, "remote_directory")
        _check_own_machine(connection, remote_directory)
    rate_limits.allow(caller, "exports.make", MAKES_PER_MINUTE)
    return Export(
        connection=connection,
        kind=kind,
        range=range_ or "",
        format=format_,
        remote_directory=remote_directory or "",
        requested_by=caller.user,
    )


def _check_own_machine(connection: Connection, directory: str) -> None:
    """`Invalid` for a folder of the site's own machine outside of its roots."""
    if connection.transport != Transport.LOCAL:
        return
    try:
        own_folders.real(directory)
    except own_folders.NotBelowRoots as error:
        raise Invalid.field("remote_directory", error.detail) from error


def check(kind: str, range_: str | None, format_: str) -> None:
    """`Invalid` unless the three go together."""
    if kind == Kind.DUAL and range_ is not None:
        raise Invalid.field("range", "A dual export always holds the last 24 hours.")
    if kind == Kind.RANGE and range_ not in RANGES:
        raise Invalid.field("range", f"Choose one of {', '.join(RANGES)}.")
    if format_ not in FORMATS:
        raise Invalid.field("format", f"Choose one of {', '.join(FORMATS)}.")


def begin(caller: Caller, export: Export) -> None:
    """Store a draft as work that the caller does now, by `writer.make` outside a transaction."""
    export.state = State.RUNNING
    export.started_at = timezone.now()
    _add(caller, export)


def queue(caller: Caller, export: Export) -> None:
    """Store a draft as work for a worker; `Conflict` where enough waits already."""
    _add(caller, export)
    transaction.on_commit(wake_workers)


def repeat(caller: Caller, export_id: UUID) -> Export:
    """The same again, with the data of now, by a worker."""
    old = find(caller, export_id, "export.make")
    row = draft(
        caller,
        old.connection_id,
        kind=old.kind,
        range_=old.range or None,
        format_=old.format,
        remote_directory=old.remote_directory or None,
    )
    with transaction.atomic():
        queue(caller, row)
    return row


def cancel(caller: Caller, export_id: UUID) -> Export:
    """Wish it stopped; what has reached its place by then stays there."""
    row = find(caller, export_id, "export.make")
    with transaction.atomic():
        audit.record(caller, "export.cancel", row)
        now = timezone.now()
        waiting = Export.objects.filter(pk=row.pk, state=State.WAITING)
        if not waiting.update(state=State.CANCELLED, cancel_requested=True, finished_at=now):
            running = Export.objects.filter(pk=row.pk, state=State.RUNNING)
            if not running.update(cancel_requested=True):
                raise Conflict("It has ended already.")
    return find(caller, export_id)


def delete(caller: Caller, export_id: UUID) -> None:
    """Into the trash for 30 days, with the site's copy; the one on the machine stays."""
    row = find(caller, export_id, "export.make")
    with transaction.atomic():
        if row.state in UNFINISHED:
            raise Conflict("It is still being made; cancel it first.")
        audit.record(caller, "export.delete", row)
        row.move_to_trash()


def restore(caller: Caller, export_id: UUID) -> Export:
    """Take it out of the trash again."""
    row = in_trash(caller).filter(pk=export_id).first()
    if row is None:
        raise NotFound
    if not may(caller, "export.make", row.connection.team):
        raise forbidden("export.make")
    with transaction.atomic():
        audit.record(caller, "export.restore", row)
        row.take_from_trash()
    return row


def in_trash(caller: Caller) -> TrashQuerySet[Export]:
    """What can be restored, the newest first."""
    rows: TrashQuerySet[Export] = Export.objects.in_trash_for(caller.user)
    return rows.select_related("connection__team").order_by("-deleted_at", "pk")


def downloadable(caller: Caller, export_id: UUID) -> Export:
    """A row whose file can be had, written down as taken; `NotFound` if the file is gone."""
    row = find(caller, export_id, "export.download")
    if not row.is_downloadable or not row.path.is_file():
        raise NotFound("The site has no copy of this file any more.")
    with transaction.atomic():
        audit.record(caller, "export.download", row)
    return row


def finished(export_id: UUID) -> Export:
    """The row once its work has ended, at the latest after a minute; for who asks twice."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        row: Export = Export.objects.select_related("connection").get(pk=export_id)
        if not row.is_unfinished or time.monotonic() > deadline:
            return row
        with outside_database():
            time.sleep(_LOOK_SECONDS)


def make_now(export: Export) -> Export:
    """Do the work of a row that `begin` stored, and answer it."""
    writer.make(export)
    return export


def _add(caller: Caller, export: Export) -> None:
    connection: Connection = export.connection
    with transaction.atomic():
        audit.record(
            caller,
            "export.make",
            connection,
            kind=export.kind,
            range=export.range or None,
            format=export.format,
            remote_directory=export.remote_directory or None,
        )
        # Who has written an audit row is the only one until the end, so the count is exact.
        _check_room(caller, export)
        export.save(force_insert=True)


def _check_room(caller: Caller, export: Export) -> None:
    """What is made at once does not wait: `connections.visits` has the places for it."""
    if export.state != State.WAITING:
        return
    why = room.full_machine(export.connection_id) or room.full_person(caller.user.pk)
    if why is not None:
        raise Conflict(why)
