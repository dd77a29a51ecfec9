"""A job, and the changes it went through.

People write wishes (`stop_requested_at`, `priority`); the keeper that holds the machine writes what
the machine says, under its epoch. `move` is the only way from one state to another.
"""

import json
import uuid
from typing import Any

from django.db import models, transaction
from django.db.models import F, Q, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Team, User
from connections.models import Connection
from core import cleaner
from core.hooks import Hook
from core.security.encrypted_fields import EncryptedRow
from core.soft_delete import SoftDeleted, TrashQuerySet
from jobs.models import states
from jobs.models.states import Reason, Status
from projects.models import Project

MASK = "********"
# Columns with sentences that may hold what a machine said, and what they hold.
_WORDS = {"detail": 500, "waiting_reason": 1000}


class Kind(models.TextChoices):
    COMMAND = "command"
    CONTAINER = "container"


class JobQuerySet(TrashQuerySet["Job"]):
    """Every query for a person starts with one of the `*_by` methods: nobody may forget.

    A job is as visible as its machine.
    """

    def visible_to(self, user: Any) -> "JobQuerySet":
        return self.living().filter(connection__in=Connection.objects.visible_to(user))

    def operable_by(self, user: Any) -> "JobQuerySet":
        return self.living().filter(connection__in=Connection.objects.operable_by(user))

    def active(self) -> "JobQuerySet":
        """Those about which a machine may know something, also from the trash."""
        return self.filter(status__in=states.ACTIVE)


class Job(EncryptedRow, SoftDeleted):
    """One run of one command on one machine."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="jobs")
    # The project's, so that a queue and a keeper need no join; a project stays on its machine.
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="jobs")
    name = models.CharField(max_length=100)
    model_name = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.COMMAND)
    command = models.TextField(blank=True)
    image = models.CharField(max_length=500, blank=True)
    virtualenv = models.CharField(max_length=1024, blank=True)
    conda_env = models.CharField(max_length=200, blank=True)
    environment_encrypted = models.TextField(blank=True, editable=False)
    # Names whose values are never shown, beside those that sound secret.
    secret_names: "models.JSONField[list[str], list[str]]" = models.JSONField(
        default=list, blank=True
    )
    config: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(
        default=dict, blank=True
    )

    # What it asks of the queue. `gpus`: a count, or a list of indices and MIG UUIDs.
    gpus: "models.JSONField[Any, Any]" = models.JSONField(default=int)
    wait_for_gpu = models.BooleanField(default=True)
    priority = models.IntegerField(default=0)
    max_minutes = models.PositiveIntegerField(null=True, blank=True)
    max_retries = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True)
    after = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="followers"
    )
    retry_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries"
    )
    # 1 for what a person started, one more for each retry that the site made by itself.
    attempt = models.PositiveSmallIntegerField(default=1, editable=False)

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    # Kept by the database itself (see the migration), so that no update can forget it.
    previous_status = models.CharField(max_length=10, blank=True, editable=False)
    reason = models.CharField(max_length=20, choices=Reason.choices, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    waiting_reason = models.CharField(max_length=1000, blank=True)
    estimated_start_at = models.DateTimeField(null=True, editable=False)
    stop_requested_at = models.DateTimeField(null=True, editable=False)

    # What the queue gave: indices and MIG UUIDs as texts; None until then.
    granted: "models.JSONField[list[str] | None, list[str] | None]" = models.JSONField(
        null=True, editable=False
    )
    # What the machine said.
    start_tries = models.PositiveSmallIntegerField(default=0, editable=False)
    pid = models.PositiveIntegerField(null=True, editable=False)
    start_ticks = models.PositiveBigIntegerField(null=True, editable=False)
    boot_id = models.CharField(max_length=64, blank=True, editable=False)
    container_id = models.CharField(max_length=64, blank=True, editable=False)
    exit_code = models.IntegerField(null=True, editable=False)
    log_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    log_lines = models.PositiveBigIntegerField(default=0, editable=False)
    log_complete = models.BooleanField(default=False, editable=False)
    metrics: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(
        default=dict, editable=False
    )

    requested_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    completed_at = models.DateTimeField(null=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        constraints = (
            models.CheckConstraint(condition=states.legal_pairs(), name="job_step_is_legal"),
            models.CheckConstraint(
                condition=Q(status__in=sorted(states.FINAL), completed_at__isnull=False)
                | (~Q(status__in=sorted(states.FINAL)) & Q(completed_at__isnull=True)),
                name="job_ends_when_it_is_final",
            ),
            # The site retries by itself once; a person as often as wished.
            models.UniqueConstraint(
                fields=("retry_of",), condition=Q(attempt__gt=1), name="one_automatic_retry"
            ),
        )
        indexes = (
            models.Index(
                fields=("connection",),
                condition=Q(status__in=sorted(states.ACTIVE | {Status.QUEUED})),
                name="jobs_to_look_after",
            ),
            models.Index(fields=("project", "-created_at"), name="jobs_of_a_project"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def team(self) -> Team:
        """The machine's team, to which the audit trail and the policy look."""
        return self.connection.team

    @property
    def is_final(self) -> bool:
        return self.status in states.FINAL

    @property
    def run_seconds(self) -> float | None:
        """How long it has run, in seconds; None before it began."""
        if self.started_at is None:
            return None
        end = self.completed_at or timezone.now()
        return max(0.0, (end - self.started_at).total_seconds())

    @property
    def environment(self) -> dict[str, str]:
        """The variables in clear; raises `crypto.SecretUnreadable`."""
        value: dict[str, str] = json.loads(self.secret("environment") or "{}")
        return value

    @environment.setter
    def environment(self, value: dict[str, str]) -> None:
        """Keep it encrypted for this row; needs the final primary key."""
        self.set_secret("environment", json.dumps(value) if value else "")

    def move(self, to: Status, who: str, why: str = "", **columns: Any) -> bool:
        """Go to `to` and write `columns` with it, if the row still is where this object is.

        What was true of the state before goes with it; afterwards this object says what the row
        says. False, and nothing written, when somebody else was faster. Raises `IllegalStep`.
        """
        before = self.status
        states.check(before, to)
        for name in _WORDS.keys() & columns.keys():
            columns[name] = cleaner.line(columns[name], _WORDS[name])
        changes = _left_behind(to) | {"status": to, "updated_at": timezone.now()} | columns
        with transaction.atomic():
            if not Job.objects.filter(pk=self.pk, status=before).update(**changes):
                return False
            JobChange.objects.create(
                job=self, from_status=before, to_status=to, who=who, why=cleaner.line(why, 500)
            )
        # The database notes the step itself.
        for name, value in {**changes, "previous_status": before}.items():
            setattr(self, name, value)
        return True

    def add_metrics(self, **values: object) -> None:
        """Write values into `metrics`, beside those that are there; nothing else of the row."""
        column = Job._meta.get_field("metrics")
        merged = CombinedExpression(F("metrics"), "||", Value(values, output_field=column))
        Job.objects.filter(pk=self.pk).update(metrics=merged)
        self.metrics = {**self.metrics, **values}

    def request_stop(self) -> None:
        """Wish it ended; the keeper of the machine sees to it. A second wish changes nothing."""
        Job.objects.filter(pk=self.pk, stop_requested_at=None).update(stop_requested_at=Now())
        self.refresh_from_db(fields=["stop_requested_at"])


def _left_behind(to: Status) -> dict[str, Any]:
    """The columns that a new state sets by itself: what only the one before had to say."""
    columns: dict[str, Any] = {"reason": "", "detail": ""}
    if to not in states.WAITING:
        columns |= {"waiting_reason": "", "estimated_start_at": None}
    if to in states.FINAL:
        columns["completed_at"] = timezone.now()
    return columns


class JobChange(models.Model):
    """One step of a job: who or what, from where to where, and why."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(default=timezone.now)
    from_status = models.CharField(max_length=10, blank=True)
    to_status = models.CharField(max_length=10)
    who = models.CharField(max_length=150)
    why = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        is_new = self._state.adding
        super().save(*args, **kwargs)
        if is_new:
            on_change.call(self)


# Called for each new step, in the transaction that writes it.
on_change: Hook[[JobChange], None] = Hook("a job went a step")
