"""An export that became a file, and a schedule that makes such.

An export row is the record of the work: whoever makes the file writes its progress there, and a
person's wish to stop it is read from there. It is as visible as its machine.
"""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.models import User
from accounts.teams import given
from connections.models import Connection
from core.soft_delete import SoftDeleted, TrashQuerySet
from exports import storage

# Who makes a file writes a sign of life about twice a second.
SILENT = timedelta(minutes=2)


class Kind(models.TextChoices):
    DUAL = "dual"
    RANGE = "range"


class State(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (State.WAITING, State.RUNNING)


class OfMachine(TrashQuerySet[Any]):
    """Every query for a person starts with `visible_to`: nobody may forget."""

    def visible_to(self, user: Any) -> "OfMachine":
        return self.living().filter(connection__in=Connection.objects.visible_to(user))

    def in_trash_for(self, user: Any) -> "OfMachine":
        """What somebody deleted in the last 30 days, of machines that the user may see."""
        return self.in_trash().filter(connection__in=Connection.objects.visible_to(user))


class ExportSchedule(SoftDeleted):
    """Make an export of a machine again and again; the times stand in `periodic_task`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="export_schedules"
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    range = models.CharField(max_length=10, blank=True)
    format = models.CharField(max_length=10)
    periodic_task = models.OneToOneField(PeriodicTask, on_delete=models.CASCADE)
    # When it is due next; moving it on is how one worker claims one turn.
    next_run_at = models.DateTimeField(db_index=True)
    # Why its last turn made nothing; empty once a turn is taken again.
    skipped_because = models.CharField(max_length=200, blank=True, default="")
    keep_days = models.PositiveIntegerField(default=90)
    keep_count = models.PositiveIntegerField(default=30)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    objects = OfMachine.as_manager()

    class Meta:
        ordering = ("next_run_at", "pk")

    def __str__(self) -> str:
        return f"{self.kind} export of {self.connection}"

    @property
    def team(self) -> Any:
        """For the audit: the machine's team."""
        return self.connection.team

    @property
    def objection(self) -> str | None:
        """Why it makes nothing: who set it may no longer. None as long as they may."""
        if given.still_may(self.created_by, "export.make", self.team):
            return None
        words = given.may_no_more(self.created_by, "make exports here")
        return f"{words} Stop the schedule and bring it back to let it go on in your name."

    @property
    def cron(self) -> str:
        """The five fields, in the order of crontab(5)."""
        times = self.periodic_task.crontab
        fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        return " ".join(str(getattr(times, name)) for name in fields)


class Export(SoftDeleted):
    """One file: what it holds, how far it is, and where it lies."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="exports")
    schedule = models.ForeignKey(
        ExportSchedule, null=True, on_delete=models.SET_NULL, related_name="exports"
    )
    # The turn of the schedule that it is the file of.
    due_at = models.DateTimeField(null=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    range = models.CharField(max_length=10, blank=True)
    format = models.CharField(max_length=10)
    remote_directory = models.CharField(max_length=1024, blank=True)
    filename = models.CharField(max_length=200, blank=True)

    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    cancel_requested = models.BooleanField(default=False)
    alive_at = models.DateTimeField(default=timezone.now)
    bytes_done = models.PositiveBigIntegerField(default=0)
    # Of both sides together; null until the file is made.
    bytes_total = models.PositiveBigIntegerField(null=True)

    size_bytes = models.PositiveBigIntegerField(null=True)
    rows = models.PositiveIntegerField(null=True)
    # Each side: null until it has ended, or if it was never asked for.
    local_ok = models.BooleanField(null=True)
    local_error = models.CharField(max_length=500, blank=True)
    local_sha256 = models.CharField(max_length=64, blank=True)
    remote_ok = models.BooleanField(null=True)
    remote_path = models.CharField(max_length=4096, blank=True)
    remote_error = models.CharField(max_length=500, blank=True)
    remote_sha256 = models.CharField(max_length=64, blank=True)

    requested_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # The site's copy is gone: its schedule keeps newer ones.
    expired_at = models.DateTimeField(null=True)

    objects = OfMachine.as_manager()

    class Meta:
        ordering = ("-created_at", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=("schedule", "due_at"), name="one_export_for_each_turn_of_a_schedule"
            ),
            models.CheckConstraint(condition=Q(state__in=State.values), name="export_state_known"),
        )
        indexes = (
            models.Index(fields=("connection", "-created_at"), name="newest_exports"),
            models.Index(
                fields=("state",), condition=Q(state__in=UNFINISHED), name="unfinished_exports"
            ),
        )

    def __str__(self) -> str:
        return self.filename or f"{self.kind} export"

    @property
    def team(self) -> Any:
        """For the audit: the machine's team."""
        return self.connection.team

    @property
    def path(self) -> Path:
        """Where the site's copy lies. Of a range, a day's files bear the same name."""
        if self.kind == Kind.DUAL:
            return storage.folder("dgx-metrics") / self.filename
        return storage.folder("ranges") / f"{self.pk}.{self.format}"

    @property
    def is_unfinished(self) -> bool:
        return self.state in UNFINISHED

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from the start to the end; None while it has none of the two."""
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds() * 1000)

    @property
    def is_downloadable(self) -> bool:
        """Whether the site's copy is there."""
        return self.local_ok is True and self.expired_at is None

    def begin(self) -> bool:
        """Claim the work; False if somebody else has it, or nobody wants it any more."""
        now = timezone.now()
        return bool(
            Export.objects.filter(pk=self.pk, state=State.WAITING).update(
                state=State.RUNNING, started_at=now, alive_at=now
            )
        )

    def is_wanted(self, bytes_done: int) -> bool:
        """Write how far it is and that somebody is at it; False once a person has cancelled it."""
        Export.objects.filter(pk=self.pk).update(alive_at=timezone.now(), bytes_done=bytes_done)
        return not Export.objects.filter(pk=self.pk, cancel_requested=True).exists()
