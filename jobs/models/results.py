"""Rows beside a job: what was worked out from what the machine said, and what was said but once.

They have their own tables, so that a job's row stays small and nobody waits for its lock.
"""

from typing import Any

from django.conf import settings
from django.db import models

from connections.models import Connection
from jobs.tracking.curves import Curves


class JobScalars(models.Model):
    """The curves of what a job printed, read from its log up to `offset`."""

    job = models.OneToOneField(
        "jobs.Job", on_delete=models.CASCADE, primary_key=True, related_name="scalars"
    )
    offset = models.PositiveBigIntegerField(default=0)
    data = models.BinaryField(default=bytes)
    # When its turn was last, whether or not something came of it.
    read_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"scalars of {self.job_id}"

    @property
    def curves(self) -> Curves:
        return Curves.load(bytes(self.data))

    @curves.setter
    def curves(self, value: Curves) -> None:
        self.data = value.dump()


class JobMeasure(models.Model):
    """What a job's GPUs did while it ran, added up sample by sample.

    `until`, `watts` and `percent` are the newest sample that is in the sums. Joules, seconds, and
    percent × seconds; `power_seconds` and `percent_seconds` say for how long each was told. The
    peak is that of the job's own processes, None where the machine does not tell.
    """

    job = models.OneToOneField(
        "jobs.Job", on_delete=models.CASCADE, primary_key=True, related_name="measure"
    )
    until = models.DateTimeField(null=True)
    watts = models.FloatField(null=True)
    percent = models.FloatField(null=True)
    joules = models.FloatField(default=0.0)
    power_seconds = models.FloatField(default=0.0)
    busy = models.FloatField(default=0.0)
    percent_seconds = models.FloatField(default=0.0)
    peak_memory_bytes = models.PositiveBigIntegerField(null=True)
    is_closed = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"measure of {self.job_id}"


class JobOrigin(models.Model):
    """What a run began from, as `jobs/remote/origin.py` reads it, and the GPUs that it was
    granted."""

    job = models.OneToOneField(
        "jobs.Job", on_delete=models.CASCADE, primary_key=True, related_name="origin"
    )
    data: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    recorded_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"origin of {self.job_id}"


class GpuWish(models.Model):
    """Somebody wants to hear once when a GPU of a machine is free; without `gpu`, any of them."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    gpu = models.PositiveSmallIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("user", "connection", "gpu"), nulls_distinct=False, name="one_wish_per_gpu"
            ),
        )

    def __str__(self) -> str:
        return f"GPU {'any' if self.gpu is None else self.gpu} of {self.connection_id}"
