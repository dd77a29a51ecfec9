"""A machine that the team reaches over SSH: what should be, what is, and who holds it.

The edge writes the wish (`is_active`, the address, the credentials); the keeper that owns the row
writes the state. Neither touches the other's columns.
"""

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Role, Team, User
from accounts.policy import teams_with
from connections.credentials import places
from core.security.encrypted_fields import EncryptedRow
from core.soft_delete import SoftDeleted, TrashQuerySet


class Status(models.TextChoices):
    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    ERROR = "error"


class Reason(models.TextChoices):
    """Why it is not simply connected; `stale` stands beside `connected`."""

    AUTH_FAILED = "auth_failed"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    HOST_KEY_CHANGED = "host_key_changed"
    UNREACHABLE = "unreachable"
    SSH_UNRESPONSIVE = "ssh_unresponsive"
    UNUSABLE_SHELL = "unusable_shell"
    STALE = "stale"
    REFUSED_ADDRESS = "refused_address"
    KEY_UNUSABLE = "key_unusable"


class Transport(models.TextChoices):
    SSH = "ssh"
    LOCAL = "local"


class AuthMethod(models.TextChoices):
    KEY = "key"
    PASSWORD = "password"  # noqa: S105 (the name of a way to log in)
    AGENT = "agent"


class Keeper(models.Model):
    """A running keeper process; it is alive while `heartbeat_at` is younger than the TTL."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=200)
    holds_local = models.BooleanField(default=False)
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(db_index=True)
    # Threads of it that died and do not yet run again, in words; health repeats them.
    trouble = models.CharField(max_length=300, blank=True, default="", editable=False)

    def __str__(self) -> str:
        return self.name


class ConnectionQuerySet(TrashQuerySet["Connection"]):
    """Every query for a person starts with one of the `*_by` methods: nobody may forget."""

    def visible_to(self, user: Any) -> "ConnectionQuerySet":
        return self.living().filter(teams_with(user, Role.VIEWER))

    def operable_by(self, user: Any) -> "ConnectionQuerySet":
        return self.living().filter(teams_with(user, Role.OPERATOR))

    def administered_by(self, user: Any) -> "ConnectionQuerySet":
        return self.living().filter(teams_with(user, Role.ADMINISTRATOR))


class Connection(EncryptedRow, SoftDeleted):
    """One machine of one team."""

    # A change to one of these means that a held session no longer is what the row says.
    SESSION_FIELDS: ClassVar[frozenset[str]] = frozenset(
        {
            "hostname",
            "port",
            "username",
            "transport",
            "auth_method",
            "ssh_key_path",
            "jump_connection",
            "host_key",
            "private_key",
            "passphrase",
            "password",
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="connections")
    name = models.CharField(max_length=100)
    tags: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list, blank=True)
    transport = models.CharField(max_length=10, choices=Transport.choices, default=Transport.SSH)
    hostname = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=22)
    username = models.CharField(max_length=64, blank=True)
    auth_method = models.CharField(
        max_length=10, choices=AuthMethod.choices, default=AuthMethod.KEY
    )
    ssh_key_path = models.CharField(max_length=500, blank=True)
    private_key_encrypted = models.TextField(blank=True, editable=False)
    passphrase_encrypted = models.TextField(blank=True, editable=False)
    password_encrypted = models.TextField(blank=True, editable=False)
    public_key = models.TextField(blank=True, editable=False)
    jump_connection = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="reached_through"
    )
    ollama_port = models.PositiveIntegerField(default=11434)
    auto_connect = models.BooleanField(default=True)

    # The pinned key: its SHA256 fingerprint, and its algorithm once that is known.
    host_key = models.CharField(max_length=100, blank=True)
    host_key_type = models.CharField(max_length=60, blank=True, editable=False)
    offered_host_key = models.CharField(max_length=100, blank=True, editable=False)

    # What should be.
    is_active = models.BooleanField(default=False, editable=False)
    revision = models.PositiveIntegerField(default=1, editable=False)
    retry_now_at = models.DateTimeField(null=True, editable=False)

    # What is, written by the owner under its epoch.
    status = models.CharField(
        max_length=20, choices=Status.choices, default=Status.DISCONNECTED, editable=False
    )
    reason = models.CharField(max_length=30, choices=Reason.choices, blank=True, editable=False)
    detail = models.CharField(max_length=500, blank=True, editable=False)
    since = models.DateTimeField(default=timezone.now, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)
    connected_at = models.DateTimeField(null=True, editable=False)
    last_connected_at = models.DateTimeField(null=True, editable=False)
    owner = models.ForeignKey(
        Keeper, null=True, on_delete=models.SET_NULL, related_name="connections", editable=False
    )
    epoch = models.PositiveBigIntegerField(default=0, editable=False)

    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("team", "name"),
                condition=Q(deleted_at__isnull=True),
                name="one_connection_name_per_team",
            ),
            models.CheckConstraint(
                condition=Q(port__gte=1, port__lte=65535), name="connection_port_in_range"
            ),
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="connection_status_known"
            ),
        )
        indexes = (models.Index(fields=("owner",), condition=Q(is_active=True), name="held"),)

    def __str__(self) -> str:
        return self.name

    def secret_context(self, name: str, place: places.Place | None = None) -> str:
        """A password leaves in a log-in, so it opens only while the row leads where it did.

        With `place`, to what it was bound while the row led there.
        """
        context = super().secret_context(name)
        if name != "password":
            return context
        return f"{context}/{places.digest(place or places.of(self))}"

    @property
    def uptime_seconds(self) -> int | None:
        """Whole seconds since the session was opened; None while there is none."""
        if self.status != Status.CONNECTED or self.connected_at is None:
            return None
        return max(0, int((timezone.now() - self.connected_at).total_seconds()))

    def wish(self, *, active: bool) -> None:
        """Say whether it should be held; a new wish also ends any waiting for a retry."""
        self.is_active = active
        self.retry_now_at = timezone.now()
        self.save(update_fields=["is_active", "retry_now_at", "updated_at"])

    def session_changed(self) -> None:
        """A held session is outdated from now on; its keeper opens a new one."""
        Connection.objects.filter(pk=self.pk).update(
            revision=F("revision") + 1, retry_now_at=timezone.now()
        )


class ServerKey(models.Model):
    """A key of the server's own with which machines of a team may log in; superusers say which.

    A file below the key directory, or, with an empty path, whatever the SSH agent holds.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="server_keys")
    path = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("team", "path")
        constraints = (
            models.UniqueConstraint(fields=("team", "path"), name="one_server_key_per_team"),
        )

    def __str__(self) -> str:
        return self.path or "SSH agent"


class ConnectionEvent(models.Model):
    """A change of state or wish: who or what, from where to where, and why."""

    id = models.BigAutoField(primary_key=True)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    from_status = models.CharField(max_length=20)
    to_status = models.CharField(max_length=20)
    reason = models.CharField(max_length=30, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    actor = models.CharField(max_length=150)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("connection", "-id"), name="newest_events"),)

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"
