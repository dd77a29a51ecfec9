"""Short keys for machines and GPUs, so that a row of history carries 6 bytes of them and not 40.

The history itself lives in partitioned tables that the ORM does not know: `metrics/tiers.py`.
"""

from django.db import models
from django.utils import timezone

from connections.models import Connection


class Machine(models.Model):
    """The small number under which a connection's history is stored."""

    id = models.AutoField(primary_key=True)
    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="machine")

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
