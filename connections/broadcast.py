"""Show the state of connections to the browsers that watch them."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from connections.models import Connection
from connections.serializers import as_dict
from core import topics


def connections(ids: Iterable[UUID]) -> None:
    """Publish the rows as they are now, those in the trash as deleted; one message per team."""
    by_team: dict[UUID, list[topics.Item]] = defaultdict(list)
    for row in Connection.objects.filter(pk__in=list(ids)).select_related("team"):
        gone = row.deleted_at is not None
        item = topics.deleted_item(row.pk) if gone else topics.status_item(as_dict(row))
        by_team[row.team_id].append(item)
    for team_id, items in by_team.items():
        topics.publish(team_id, items)


def removed(team_id: UUID, connection_id: UUID) -> None:
    """Let a team's open pages drop a machine."""
    topics.publish(team_id, [topics.deleted_item(connection_id)])
