"""What the apps above attach to projects: how many jobs there are, and a word before a deletion.

`jobs/apps.py` registers when it is ready; this app calls and knows nothing of who answers.
"""

from collections.abc import Callable, Collection, Mapping
from uuid import UUID

from projects.models import Project

Counter = Callable[[Collection[UUID]], Mapping[UUID, int]]
Guard = Callable[[Project], None]

_counters: list[Counter] = []
_guards: list[Guard] = []


def on_count(callback: Counter) -> None:
    """`callback(ids)` says how many jobs each project has; one that it leaves out has none."""
    _counters.append(callback)


def before_delete(callback: Guard) -> None:
    """`callback(project)` raises `Conflict` when a deletion would leave something running."""
    _guards.append(callback)


def job_counts(ids: Collection[UUID]) -> dict[UUID, int] | None:
    """Jobs by project; None while nobody counts them."""
    if not _counters:
        return None
    found = [counter(ids) for counter in _counters]
    return {one: sum(counts.get(one, 0) for counts in found) for one in ids}


def check_deletion(project: Project) -> None:
    for guard in _guards:
        guard(project)
