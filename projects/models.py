"""A project: a folder on one machine, with a name, a state and a configuration.

The row belongs to the site; the folder belongs to the machine and is never deleted from here.
"""

import json
import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Team, User
from connections.models import Connection
from core.soft_delete import SoftDeleted, TrashQuerySet

# Up to 256 KiB each, which a list of projects does not show.
LONG_TEXTS = ("config_text", "schema_text")


class Status(models.TextChoices):
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class ProjectQuerySet(TrashQuerySet["Project"]):
    """Every query for a person starts with one of the `*_by` methods: nobody may forget.

    A project is as visible as its machine: one whose machine is in the trash is not there.
    """

    def visible_to(self, user: Any) -> "ProjectQuerySet":
        return self.living().filter(connection__in=Connection.objects.visible_to(user))

    def operable_by(self, user: Any) -> "ProjectQuerySet":
        return self.living().filter(connection__in=Connection.objects.operable_by(user))


class Project(SoftDeleted):
    """One folder of one machine, in which jobs run."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="projects")
    name = models.CharField(max_length=100)
    description = models.TextField(max_length=2000, blank=True)
    project_type = models.CharField(max_length=50, default="training")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)

    # The folder as a person wrote it, and as the machine knows it once that was asked.
    remote_path = models.CharField(max_length=1024)
    resolved_path = models.CharField(max_length=4096, blank=True, editable=False)
    # Why there is no resolved path, in a sentence; and whether the folder is made then.
    path_note = models.CharField(max_length=500, blank=True, editable=False)
    create_directory = models.BooleanField(default=False, editable=False)

    # JSON texts as they were written: `jsonb` would forget the order of the keys.
    config_text = models.TextField(default="{}")
    schema_text = models.TextField(blank=True)

    # Counts changes by people, so that two who edit at once notice each other.
    revision = models.PositiveIntegerField(default=1, editable=False)
    last_activity_at = models.DateTimeField(default=timezone.now, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("connection", "name"),
                condition=Q(deleted_at__isnull=True),
                name="one_project_name_per_machine",
            ),
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="project_status_known"
            ),
        )
        indexes = (
            models.Index(
                fields=("-last_activity_at",),
                condition=Q(deleted_at__isnull=True),
                name="projects_by_activity",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def team(self) -> Team:
        """The machine's team, to which the audit trail and the policy look."""
        return self.connection.team

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as an object; a fresh one each time."""
        value: dict[str, Any] = json.loads(self.config_text)
        return value

    @config.setter
    def config(self, value: dict[str, Any]) -> None:
        self.config_text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)

    @property
    def config_schema(self) -> dict[str, Any] | None:
        """The JSON Schema that the configuration keeps to; None without one."""
        return json.loads(self.schema_text) if self.schema_text else None

    @config_schema.setter
    def config_schema(self, value: dict[str, Any] | None) -> None:
        self.schema_text = "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)
