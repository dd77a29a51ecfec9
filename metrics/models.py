"""Short keys for machines and GPUs, so that a row of history carries 6 bytes of them and not 40.

The history itself lives in partitioned tables that the ORM does not know:
`metrics/history/tiers.py`.
"""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from connections.models import Connection

LONGEST_DAYS = 7305


class TierName(models.TextChoices):
    RAW = "raw", "20 seconds"
    HOURLY = "hourly", "hours"
    DAILY = "daily", "days"


class Machine(models.Model):
    """The small number under which a connection's history is stored."""

    id = models.AutoField(primary_key=True)
    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="machine")

    # What is older has expired, wholly or in part: no roll-up counts on it any more.
    raw_from = models.DateTimeField(null=True, editable=False)
    hourly_from = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"machine {self.pk}"


class GpuIdentity(models.Model):
    """Which GPU was seen under an index: history knows the index, this knows the device."""

    machine = models.ForeignKey(Machine, on_delete=models.CASCADE, related_name="gpus")
    index = models.PositiveSmallIntegerField()
    uuid = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("machine", "index", "first_seen_at")
        constraints = (
            models.UniqueConstraint(
                fields=("machine", "index", "uuid"), name="one_row_per_gpu_and_index"
            ),
        )

    def __str__(self) -> str:
        return f"GPU {self.index} {self.name}"


class Retention(models.Model):
    """How long a tier keeps its rows, for the site or for one machine; without it, `tiers.py`."""

    tier = models.CharField(max_length=6, choices=TierName)
    connection = models.ForeignKey(
        Connection,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        verbose_name="machine",
        related_name="retentions",
        help_text="Empty: every machine that has no line of its own.",
    )
    keep_days = models.PositiveIntegerField(
        validators=(MinValueValidator(1), MaxValueValidator(LONGEST_DAYS)),
        help_text="Whole days, UTC. What is older goes with the next clean-up.",
    )

    class Meta:
        ordering = ("connection", "tier")
        verbose_name_plural = "retention"
        constraints = (
            models.UniqueConstraint(
                fields=("tier", "connection"),
                nulls_distinct=False,
                name="one_retention_per_tier_and_machine",
            ),
            models.CheckConstraint(
                condition=models.Q(keep_days__gte=1, keep_days__lte=LONGEST_DAYS),
                name="retention_of_one_day_to_twenty_years",
            ),
        )

    def __str__(self) -> str:
        return f"{self.tier} of {self.connection or 'every machine'}: {self.keep_days} days"


class Pending(models.Model):
    """An hour or a day that has to be computed; only `metrics/history/rollup_queue.py` touches the
    rows."""

    pk = models.CompositePrimaryKey("tier", "at", "machine")
    tier = models.CharField(max_length=6, choices=TierName)
    at = models.DateTimeField()
    # No reference: whoever writes rows must not wait for who changes the machine.
    machine = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.tier} of machine {self.machine} at {self.at}"
