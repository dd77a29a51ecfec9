"""How many exports may wait: for one machine, and of one person.

A schedule has one at a time, so it counts for its machine alone: somebody with many machines sets
as many schedules, and all of them may be due in the same minute.
"""

from uuid import UUID

from exports.models import Export, State

MOST_PER_MACHINE = 30
MOST_PER_PERSON = 50


def full_machine(connection_id: UUID) -> str | None:
    """Why no more may wait for this machine; None while there is room."""
    if _waiting(connection_id=connection_id) < MOST_PER_MACHINE:
        return None
    return f"{MOST_PER_MACHINE} exports wait for this machine already."


def full_person(person_id: int) -> str | None:
    """Why this person may ask for no more; None while there is room."""
    if _waiting(requested_by=person_id, schedule=None) < MOST_PER_PERSON:
        return None
    return f"{MOST_PER_PERSON} of your exports wait already; cancel some first."


def _waiting(**fields: object) -> int:
    return Export.objects.filter(state=State.WAITING, **fields).count()
