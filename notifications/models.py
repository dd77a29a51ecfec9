"""What happened, who is told of it and by which way, and what became of each sending.

An `Event` is written once and has one id, which every way passes on. A `Notification` is the event
in the list of one person. A `Delivery` is the event on its way out, by e-mail or through a channel:
the queue of record, which workers claim row by row.
"""

import uuid
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.models import Membership, Role, Team, User
from accounts.policy import teams_with
from core.security.encrypted_fields import EncryptedRow
from notifications.kinds import Severity, Way


class ChannelKind(models.TextChoices):
    APPRISE = "apprise"
    WEBHOOK = "webhook"


class ChannelQuerySet(models.QuerySet["Channel"]):
    def administered_by(self, user: Any) -> "ChannelQuerySet":
        return self.filter(teams_with(user, Role.ADMINISTRATOR))


class Channel(EncryptedRow):
    """A place outside the site to which a team's events go. Address and secret are encrypted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="channels")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=ChannelKind.choices, default=ChannelKind.APPRISE)
    url_encrypted = models.TextField(editable=False)
    secret_encrypted = models.TextField(blank=True, editable=False)
    # The address without what gives access: scheme, and host where that is no token.
    shown_url = models.CharField(max_length=300, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    updated_at = models.DateTimeField(auto_now=True)
    # Failures in a row, and until when nothing more is tried (`notifications.delivery.resting`).
    failures = models.PositiveIntegerField(default=0, editable=False)
    rests_until = models.DateTimeField(null=True, editable=False)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("team", "name"), name="one_channel_name_per_team"),
        )

    def __str__(self) -> str:
        return self.name


class Event(models.Model):
    """Something that happened in a team; `link` is a path of this site."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=40)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    title = models.CharField(max_length=200)
    body = models.CharField(max_length=1000, blank=True)
    link = models.CharField(max_length=300, blank=True)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    # The same for programs, as webhooks send it; without anything secret.
    data = models.JSONField(default=dict, blank=True)
    # Whoever reports the same thing twice gives it the same key; the second is dropped.
    dedupe_key = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("team", "dedupe_key"),
                condition=~Q(dedupe_key=""),
                name="one_event_per_dedupe_key",
            ),
        )

    def __str__(self) -> str:
        return self.title


class NotificationQuerySet(models.QuerySet["Notification"]):
    def of(self, user_id: int) -> "NotificationQuerySet":
        """What is in this person's list, without teams that they have left since."""
        return self.filter(user_id=user_id).standing()

    def standing(self) -> "NotificationQuerySet":
        """Rows whose person still belongs to the event's team."""
        member = Membership.objects.filter(
            team_id=OuterRef("event__team_id"), user_id=OuterRef("user_id")
        )
        return self.filter(Q(user__is_superuser=True) | Exists(member))

    def unread(self) -> "NotificationQuerySet":
        return self.filter(read_at__isnull=True)


class Notification(models.Model):
    """An event in the list of one person."""

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="notifications")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notifications")
    read_at = models.DateTimeField(null=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("event", "user"), name="one_notification_per_person"),
        )
        indexes = (
            models.Index(fields=("user", "-id"), name="newest_notifications"),
            models.Index(
                fields=("user",), condition=Q(read_at__isnull=True), name="unread_notifications"
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} for {self.user}"


class Choice(models.Model):
    """Whether a person, or a team's channel, wants events of a kind by one way.

    There is a row only where somebody chose; `notifications.kinds` says what holds otherwise.
    """

    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    channel = models.ForeignKey(
        Channel, null=True, on_delete=models.CASCADE, related_name="choices"
    )
    kind = models.CharField(max_length=40)
    way = models.CharField(max_length=10, choices=Way.choices)
    wanted = models.BooleanField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("user", "kind", "way"), name="one_choice_per_person"),
            models.UniqueConstraint(fields=("channel", "kind"), name="one_choice_per_channel"),
            models.CheckConstraint(
                condition=Q(user__isnull=True, channel__isnull=False, way=Way.CHANNEL)
                | Q(user__isnull=False, channel__isnull=True, way__in=(Way.PAGE, Way.EMAIL)),
                name="choice_of_person_or_channel",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} by {self.way}: {'on' if self.wanted else 'off'}"


class QuietHours(models.Model):
    """When a person's e-mail waits, by the clock of their time zone; equal times mean never."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="quiet_hours")
    starts = models.TimeField()
    ends = models.TimeField()

    def __str__(self) -> str:
        return f"{self.starts:%H:%M} to {self.ends:%H:%M}"


class DeliveryStatus(models.TextChoices):
    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    # The recipient is gone or may no longer know of it.
    DROPPED = "dropped"


class Delivery(models.Model):
    """One event on its way to one mailbox or channel; at most one worker has claimed it."""

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    channel = models.ForeignKey(
        Channel, null=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    status = models.CharField(
        max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    claim = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "deliveries"
        constraints = (
            models.UniqueConstraint(fields=("event", "user"), name="one_delivery_per_mailbox"),
            models.UniqueConstraint(fields=("event", "channel"), name="one_delivery_per_channel"),
            models.CheckConstraint(
                condition=Q(user__isnull=True) ^ Q(channel__isnull=True),
                name="delivery_to_person_or_channel",
            ),
        )
        indexes = (
            models.Index(
                fields=("due_at",),
                condition=Q(status__in=("pending", "sending")),
                name="deliveries_to_do",
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} to {self.channel or self.user}"


class Attempt(models.Model):
    """One try of a delivery, as it ended; a try whose worker died has no row."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField(default=timezone.now)
    ok = models.BooleanField()
    detail = models.CharField(max_length=300, blank=True)
    duration_ms = models.PositiveIntegerField()

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.detail or ("delivered" if self.ok else "not delivered")
