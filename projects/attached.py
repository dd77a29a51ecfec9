"""What the apps above attach to projects: how many jobs there are, and a word before a deletion.

This app calls and knows nothing of who answers; `dgxsite/wiring.py` registers them.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from core.hooks import Hook
from projects.models import Project

# Asked with ids of projects: how many jobs each has; one that is left out has none.
on_count: Hook[[Collection[UUID]], Mapping[UUID, int]] = Hook("the jobs of projects are counted")
# Raises `Conflict` when a deletion would leave something running.
before_delete: Hook[[Project], None] = Hook("a project is about to be deleted")


def job_counts(ids: Collection[UUID]) -> dict[UUID, int] | None:
    """Jobs by project; None while nobody counts them."""
    if not on_count:
        return None
    found = on_count.call(ids)
    return {one: sum(counts.get(one, 0) for counts in found) for one in ids}
