"""Rules, and the alerts that they raised.

People write rules; keepers (and, for machines that are gone, a worker) write alerts. An alert is
one breach of one rule by one machine or GPU, from its start to its end; one that recovers within
the hold time leaves no row.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Role, Team, User
from accounts.policy import teams_with
from alerts.evaluation import COMPARISONS, Condition, Trigger
from connections.models import Connection
from core.soft_delete import SoftDeleted, TrashQuerySet
from notifications.models import Channel

_COMPARISONS = [(sign, sign) for sign in COMPARISONS]


class RuleQuerySet(TrashQuerySet["AlertRule"]):
    def visible_to(self, user: Any) -> "RuleQuerySet":
        return self.living().filter(teams_with(user, Role.VIEWER))

    def watching(self) -> "RuleQuerySet":
        """Those that are to be evaluated."""
        return self.living().filter(enabled=True)


class AlertRule(SoftDeleted):
    """When to ring, for which machines of one team, and where."""

    # A change to one of these begins the evaluation anew.
    TEST_FIELDS = (
        "metric",
        "comparison",
        "threshold",
        "for_seconds",
        "clear_margin",
        "and_metric",
        "and_comparison",
        "and_threshold",
        "connection_id",
        "tag",
        "gpu",
        "enabled",
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="alert_rules")
    name = models.CharField(max_length=100)
    metric = models.CharField(max_length=40)
    comparison = models.CharField(max_length=2, choices=_COMPARISONS)
    threshold = models.FloatField()
    for_seconds = models.PositiveIntegerField(default=0)
    clear_margin = models.FloatField(default=0.0)
    # The second condition; all three are empty where there is none.
    and_metric = models.CharField(max_length=40, blank=True)
    and_comparison = models.CharField(max_length=2, choices=_COMPARISONS, blank=True)
    and_threshold = models.FloatField(null=True, blank=True)
    # Which machines: one, those with a tag, or without both all of the team.
    connection = models.ForeignKey(
        Connection, null=True, blank=True, on_delete=models.CASCADE, related_name="alert_rules"
    )
    tag = models.CharField(max_length=50, blank=True)
    gpu = models.PositiveSmallIntegerField(null=True, blank=True)
    channels: "models.ManyToManyField[Channel, Any]" = models.ManyToManyField(
        Channel, blank=True, related_name="alert_rules"
    )
    enabled = models.BooleanField(default=True)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    # Counts the changes of what is tested: a state belongs to the rule as it then was.
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=Q(comparison__in=list(COMPARISONS)), name="alert_comparison_known"
            ),
            models.CheckConstraint(
                condition=Q(and_metric="", and_comparison="", and_threshold__isnull=True)
                | (~Q(and_metric="") & Q(and_comparison__in=list(COMPARISONS)))
                & Q(and_threshold__isnull=False),
                name="alert_second_condition_whole",
            ),
        )
        indexes = (models.Index(fields=("team", "name"), name="alert_rules_of_team"),)

    def __str__(self) -> str:
        return self.name

    @property
    def trigger(self) -> Trigger:
        """What decides."""
        other = None
        if self.and_metric and self.and_threshold is not None:
            other = Condition(self.and_comparison, self.and_threshold)
        return Trigger(
            Condition(self.comparison, self.threshold),
            timedelta(seconds=self.for_seconds),
            self.clear_margin,
            other,
        )

    @property
    def is_snoozed(self) -> bool:
        return self.snoozed_until is not None and self.snoozed_until > timezone.now()

    def covers(self, connection: Connection) -> bool:
        """Whether it is about this machine."""
        if connection.team_id != self.team_id:
            return False
        if self.connection_id is not None:
            return bool(self.connection_id == connection.pk)
        return not self.tag or self.tag in connection.tags


class AlertState(models.TextChoices):
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


OPEN = (AlertState.PENDING, AlertState.FIRING)


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, user: Any) -> "AlertQuerySet":
        return self.filter(teams_with(user, Role.VIEWER))

    def open(self) -> "AlertQuerySet":
        return self.filter(state__in=OPEN)

    def firing(self) -> "AlertQuerySet":
        return self.filter(state=AlertState.FIRING)

    def unattended(self) -> "AlertQuerySet":
        """Firing, and nobody has said that they know."""
        return self.firing().filter(acknowledged_at__isnull=True)

    def due(self, before: Any) -> "AlertQuerySet":
        """Unattended, and last told before `before` or not at all."""
        told = Q(told_at__isnull=True) | Q(told_at__lt=before)
        awake = Q(rule__snoozed_until__isnull=True) | Q(rule__snoozed_until__lte=timezone.now())
        return self.unattended().filter(told, awake)


class Alert(models.Model):
    """One breach. `team` is the rule's: who saw it then may read it later."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="alerts")
    gpu = models.PositiveSmallIntegerField(null=True)
    state = models.CharField(max_length=10, choices=AlertState.choices)
    # The last known value while it was a breach, None if that was beyond any number.
    value = models.FloatField(null=True)
    started_at = models.DateTimeField()
    # The last known reading, written every few seconds while the alert is open.
    seen_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # When people were last told that it fires, and how often.
    told_at = models.DateTimeField(null=True)
    told = models.PositiveIntegerField(default=0)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ("-started_at", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=("rule", "connection", "gpu"),
                condition=Q(state__in=("pending", "firing")),
                nulls_distinct=False,
                name="one_open_alert_per_rule_and_gpu",
            ),
        )
        indexes = (
            models.Index(
                fields=("team",), condition=Q(state__in=("pending", "firing")), name="open_alerts"
            ),
            models.Index(fields=("team", "-started_at"), name="newest_alerts"),
            models.Index(fields=("connection", "-started_at"), name="alerts_of_connection"),
        )

    def __str__(self) -> str:
        return f"{self.rule} on {self.connection}"

    @property
    def place(self) -> str:
        """The machine, and which GPU if it is about one."""
        name = self.connection.name
        return name if self.gpu is None else f"{name}, GPU {self.gpu}"

    def note_told(self) -> None:
        """People have just been told."""
        Alert.objects.filter(pk=self.pk).update(told_at=timezone.now(), told=F("told") + 1)
