"""Bring the environments of jobs under the newest encryption key while the site runs."""

from core.security.key_rotation import Rotated, rotate_rows
from jobs.models import Job


def rotate_all() -> Rotated:
    rows = Job.objects.exclude(environment_encrypted="")
    return rotate_rows(rows, Job.secret_contexts)
