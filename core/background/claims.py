"""What processes take from PostgreSQL: one at a time in the whole site, and teams by turns."""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from django.db import connection
from django.db.models import Case, Value, When


def take_turn(number: int) -> None:
    """Wait until nobody else has the turn of this number; until the transaction ends it is ours.

    The number is any constant of its module's own: PostgreSQL's advisory locks are numbers.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


def fewest_first(team_path: str, under_way: Iterable[UUID]) -> list[Case]:
    """An ordering: teams with fewer under way first, however long the others have waited.

    `team_path` is the lookup from a row to its team's id, `under_way` has a team's id for each.
    """
    counts = Counter(under_way)
    whens = [When(**{team_path: team}, then=Value(count)) for team, count in counts.items()]
    return [Case(*whens, default=Value(0))] if whens else []
