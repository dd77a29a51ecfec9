"""The rules of a machine's queue."""

import uuid

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import User
from connections.models import Connection


class MachineQueue(models.Model):
    """The rules of one machine's queue, and the row that is locked while it decides."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, primary_key=True, related_name="queue"
    )
    is_paused = models.BooleanField(default=False)
    # Who paused it and when; None where it is not paused, or nobody noted it.
    paused_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    paused_at = models.DateTimeField(null=True, editable=False)
    # A GPU is free below both, for as long as `hold_seconds`.
    idle_percent = models.FloatField(default=5.0)
    idle_bytes = models.PositiveBigIntegerField(default=500 * 2**20)
    hold_seconds = models.FloatField(default=10.0)
    # Jobs of one person that run at once; None: as many as fit.
    per_person = models.PositiveSmallIntegerField(null=True, blank=True)
    # When a keeper last heard of the machine's jobs, in the database's time.
    seen_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"queue of {self.connection_id}"

    @classmethod
    def of(cls, connection_id: uuid.UUID) -> "MachineQueue":
        """The machine's queue, made when it is first needed."""
        return cls.objects.get_or_create(connection_id=connection_id)[0]

    def note_pause(self, user: User, *, is_paused: bool) -> None:
        """Remember who paused it and when; pausing what is paused changes nothing. Not saved."""
        if not is_paused:
            self.paused_by, self.paused_at = None, None
        elif not self.is_paused:
            self.paused_by, self.paused_at = user, timezone.now()

    def note_seen(self) -> None:
        MachineQueue.objects.filter(pk=self.pk).update(seen_at=Now())
