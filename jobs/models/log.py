"""The pieces of a job's log."""

from django.db import models

from jobs.models.job import Job


class LogChunk(models.Model):
    """A piece of a job's log: `length` bytes from `offset` on, compressed.

    `first_line` is the number (from 0) of the line that the piece begins in, `lines` how many end
    in it. `times` holds when bytes came, as pairs of an offset and milliseconds since 1970.

    The table has two parts. In that of what `is_fresh` nothing is journalled: a job's newest piece
    is there as long as it grows, and gone after a crash of the database.
    """

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    offset = models.PositiveBigIntegerField()
    length = models.PositiveIntegerField()
    first_line = models.PositiveBigIntegerField()
    lines = models.PositiveIntegerField()
    times: "models.JSONField[list[list[int]], list[list[int]]]" = models.JSONField(default=list)
    data = models.BinaryField()
    is_fresh = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ("offset",)
        constraints = (
            models.UniqueConstraint(
                fields=("job", "offset", "is_fresh"), name="one_chunk_per_offset"
            ),
        )

    def __str__(self) -> str:
        return f"{self.offset}+{self.length}"
