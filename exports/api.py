"""Exports over the REST API: declare, look up, call a service, answer."""

from uuid import UUID

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Query, Router

from accounts.authentication import caller_of
from exports import ranges, schemas

router = Router(tags=["exports"])


@router.get("/connections/{connection_id}/metrics/export")
def export_range(
    request: HttpRequest, connection_id: UUID, query: Query[schemas.RangeQuery]
) -> StreamingHttpResponse:
    """A range of the history as a file, streamed."""
    return ranges.download_range(caller_of(request), connection_id, query)
