"""People, the teams they work in, the tokens of their scripts, and what was done."""

import hashlib
import secrets
import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone


class User(AbstractUser):
    """A person. `is_superuser` sees and may do everything in every team."""

    # Links by mail that reset the password and were made before count no more.
    links_from = models.DateTimeField(default=timezone.now, editable=False)


class Role(models.TextChoices):
    """What a member may do, from least to most; `accounts.policy` says what exactly."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


class Team(models.Model):
    """The people who share machines; every machine belongs to exactly one team."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    members: "models.ManyToManyField[User, Membership]" = models.ManyToManyField(
        User, through="Membership", related_name="teams"
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def default(cls) -> "Team":
        """The oldest team, made when there is none: where a newcomer's machines go."""
        return cls.objects.order_by("created_at").first() or cls.objects.create(name="Default team")


class Membership(models.Model):
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("team", "user"), name="one_membership_per_team"),
        )

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.team}"


class Scope(models.TextChoices):
    """The most a token may do, whatever the role of its owner."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


class ApiToken(models.Model):
    """A secret for scripts. Only its SHA-256 is kept; the secret is shown once."""

    PREFIX: ClassVar[str] = "dgx_"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.READ)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    # The token that it was made with: it lives no longer than that one.
    made_with = models.ForeignKey(
        "self", null=True, on_delete=models.CASCADE, related_name="made", editable=False
    )

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @classmethod
    def issue(
        cls,
        user: User,
        name: str,
        scope: str = Scope.READ,
        days: int | None = None,
        made_with: "ApiToken | None" = None,
    ) -> tuple["ApiToken", str]:
        """Make a token; the second value is the secret, which nobody can read again.

        Without `days` it does not expire, or with the token that it is made with.
        """
        secret = cls.PREFIX + secrets.token_urlsafe(32)
        expires_at = timezone.now() + timedelta(days=days) if days is not None else None
        if days is None and made_with is not None:
            expires_at = made_with.expires_at
        token = cls.objects.create(
            user=user,
            name=name,
            scope=scope,
            digest=cls.digest_of(secret),
            hint=secret[:8],
            expires_at=expires_at,
            made_with=made_with,
        )
        return token, secret

    @classmethod
    def living(cls, now: datetime | None = None) -> models.QuerySet["ApiToken"]:
        """Neither revoked nor expired, of an active person, nor made with one that is revoked."""
        unexpired = models.Q(expires_at=None) | models.Q(expires_at__gt=now or timezone.now())
        return cls.objects.filter(
            unexpired, user__is_active=True, revoked_at=None, made_with__revoked_at=None
        )

    @staticmethod
    def digest_of(secret: str) -> str:
        """The secret has 256 random bits, so one unsalted hash is enough."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def find(cls, secret: str, now: datetime | None = None) -> "ApiToken | None":
        """The living token of an active person, or None."""
        rows = cls.living(now).select_related("user")
        return rows.filter(digest=cls.digest_of(secret)).first()


class AuditEvent(models.Model):
    """One line per action, written before the action; the database refuses to change rows.

    A trigger numbers the rows without gaps and links each to the one before it; docs/access.md
    says how. Deleting a person or a team leaves the rows as they are, so both may point to nobody.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(
        User,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="audit_events",
    )
    actor_name = models.CharField(max_length=150)
    token_name = models.CharField(max_length=100, blank=True)
    team = models.ForeignKey(Team, null=True, on_delete=models.DO_NOTHING, db_constraint=False)
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.CharField(max_length=255, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    detail: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    # Both SHA-256 in hexadecimal, written by the trigger.
    previous_hash = models.CharField(max_length=64, blank=True, editable=False)
    hash = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_name} {self.action} {self.object_name}"


class AuditHead(models.Model):
    """The end of the chain, one row: without it the loss of the newest rows would not show."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    last_id = models.BigIntegerField()
    last_hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"the audit trail ends with row {self.last_id}"


class Refusal(models.Model):
    """How often a caller was refused in the running minute; becomes one audit row afterwards."""

    minute = models.DateTimeField()
    action = models.CharField(max_length=60)
    caller = models.CharField(max_length=64)
    actor = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    token_name = models.CharField(max_length=100, blank=True)
    address = models.GenericIPAddressField(null=True)
    count = models.PositiveIntegerField(default=1)
    first: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("minute", "action", "caller"), name="one_refusal_per_minute"
            ),
        )

    def __str__(self) -> str:
        return f"{self.caller} {self.action} {self.count}"


class Invitation(models.Model):
    """A link that lets one person join a team, once and for a while. Only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.VIEWER)
    email = models.EmailField(blank=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    # The token that it was made with, if any: it works no longer than that one.
    made_with = models.ForeignKey(ApiToken, null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.email or 'whoever has the link'} as {self.role}"


class IdempotentAnswer(models.Model):
    """What a POST with an `Idempotency-Key` answered, for 24 hours, per person and path."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    path = models.CharField(max_length=500)
    key = models.CharField(max_length=255)
    body_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(blank=True)
    # What the policy was asked and allowed: `[action, id of the team or null]`; null: not known.
    rights: "models.JSONField[list[Any] | None, list[Any] | None]" = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("user", "path", "key"), name="one_answer_per_key"),
        )

    def __str__(self) -> str:
        return f"{self.path} {self.key}"


class Density(models.TextChoices):
    COMFORTABLE = "comfortable"
    COMPACT = "compact"


class Span(models.TextChoices):
    """The spans that a history offers; contract section 2."""

    HOUR = "1h"
    SIX_HOURS = "6h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    YEAR = "12m"


class Preference(models.Model):
    """How one person wants to see the site; who has chosen nothing has no row."""

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="preference"
    )
    time_zone = models.CharField(max_length=64, default="UTC")
    density = models.CharField(max_length=20, choices=Density.choices, default=Density.COMFORTABLE)
    default_range = models.CharField(max_length=4, choices=Span.choices, default=Span.DAY)
    # Keys without Ctrl or Alt; people who dictate or tremble turn them off (WCAG 2.1.4).
    shortcuts = models.BooleanField(default=True)
    this_machine = models.BooleanField(default=True)
    # Where this person's browser reads "this machine"; empty: from this site.
    this_machine_address = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"preferences of {self.user}"


class SetupToken(models.Model):
    """The hash of the link that makes the first administrator; at most one row, until used."""

    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"set-up link of {self.created_at:%Y-%m-%d %H:%M}"
