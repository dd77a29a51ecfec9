"""A range of the history taken away by a browser or a script: decided, written down, streamed."""

from uuid import UUID

from django.db import transaction
from django.http import StreamingHttpResponse
from django.utils import timezone

from accounts import audit
from accounts.policy import Caller
from connections import services
from connections.models import Connection
from core.errors import Invalid
from exports import download, plan, rows
from exports.schemas import RangeQuery
from metrics.history import query as history_query
from metrics.history.tiers import BY_NAME, Tier
from metrics.models import Machine


def download_range(caller: Caller, connection_id: UUID, query: RangeQuery) -> StreamingHttpResponse:
    """The file as a streamed answer; `NotFound`, `Invalid` or `TooMany` before its first byte."""
    connection = services.find(caller, connection_id, "export.download")
    wanted = plan_of(connection, query)
    answer = download.response(wanted, rows.select(wanted), caller.user.pk)
    with transaction.atomic():
        audit.record(
            caller,
            "export.download",
            connection,
            range=wanted.range,
            tier=wanted.tier.name,
            format=wanted.format,
            gpu=wanted.gpu,
        )
    return answer


def plan_of(connection: Connection, query: RangeQuery) -> plan.Plan:
    """What the query asks for, decided now."""
    now = timezone.now()
    gpu = plan.gpu_of(query.gpu)
    if query.start is None and query.end is None:
        if query.tier is not None:
            raise Invalid.field("tier", "It goes with start and end.")
        return plan.of_range(connection, query.range or "24h", query.format, now, gpu)
    span = history_query.window(query.range, query.start, query.end, now)
    return plan.of_span(connection, span, _tier(connection, query, span), query.format, now, gpu)


def _tier(connection: Connection, query: RangeQuery, span: history_query.Span) -> Tier:
    """The one that was asked for, else the one that a chart of this span would show."""
    if query.tier is not None:
        return BY_NAME[query.tier]
    return history_query.tier_for(Machine.objects.filter(connection=connection).first(), span)
