"""Notifications and channels over the REST API: declare, look up, call a service, answer."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status

from accounts.auth.callers import caller_of
from accounts.auth.idempotency import REPEATABLE, once_prepared
from accounts.models import Scope
from core.errors import Forbidden, Invalid
from core.pagination import Page, listing
from notifications import feed, schemas, services
from notifications.models import Channel
from notifications.serializers import channel_dict, delivery_dict, notification_dict

router = Router(tags=["notifications"])


@router.get("/notifications", response=schemas.NotificationList)
def list_notifications(
    request: HttpRequest, page: Query[Page], unread: bool = False
) -> dict[str, Any]:
    """The caller's own list, newest first; `?unread=true` leaves out what was read."""
    user_id = caller_of(request).user.pk
    rows = feed.of(user_id)
    if unread:
        rows = rows.filter(read_at__isnull=True)
    return listing(rows, page, notification_dict) | {"unread": feed.unread(user_id)}


@router.post("/notifications/read", response=schemas.UnreadOut)
def mark_notifications_read(request: HttpRequest, payload: schemas.ReadIn) -> dict[str, int]:
    """Mark some or all of the caller's notifications as read; what is left unread."""
    if payload.all == bool(payload.ids):
        raise Invalid.field("ids", "Give either ids, or all: true.")
    caller = caller_of(request)
    if caller.token is not None and caller.token.scope == Scope.READ:
        raise Forbidden("A token needs the scope operate to mark something as read.")
    user_id = caller.user.pk
    feed.mark_read(user_id, None if payload.all else payload.ids)
    return {"unread": feed.unread(user_id)}


@router.get("/notification-channels", response=schemas.ChannelList)
def list_notification_channels(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    """The channels of the teams that the caller administers, by name."""
    return listing(services.manageable(caller_of(request)), page, channel_dict)


@router.post("/notification-channels", response={201: schemas.ChannelOut}, openapi_extra=REPEATABLE)
def create_notification_channel(request: HttpRequest, payload: schemas.ChannelIn) -> Any:
    caller = caller_of(request)

    def work(row: Channel) -> Status[Any]:
        made = services.add(caller, row, payload.events)
        return Status(201, channel_dict(row) | ({"secret": made} if made else {}))

    return once_prepared(
        request, lambda: services.draft(caller, payload.model_dump(exclude_unset=True)), work
    )


@router.patch("/notification-channels/{channel_id}", response=schemas.ChannelOut)
def change_notification_channel(
    request: HttpRequest, channel_id: UUID, payload: schemas.ChannelPatch
) -> dict[str, Any]:
    fields = payload.model_dump(exclude_unset=True)
    return channel_dict(services.change(caller_of(request), channel_id, fields))


@router.delete("/notification-channels/{channel_id}", response={204: None})
def delete_notification_channel(request: HttpRequest, channel_id: UUID) -> Status[None]:
    services.delete(caller_of(request), channel_id)
    return Status(204, None)


@router.post("/notification-channels/{channel_id}/test", response=schemas.TestOut)
def test_notification_channel(request: HttpRequest, channel_id: UUID) -> dict[str, Any]:
    """Send one message now; what came of it."""
    outcome = services.test(caller_of(request), channel_id)
    return {"ok": outcome.ok, "detail": outcome.detail}


@router.get("/notification-channels/{channel_id}/deliveries", response=schemas.DeliveryList)
def list_deliveries(request: HttpRequest, channel_id: UUID, page: Query[Page]) -> dict[str, Any]:
    """What was sent through a channel, every try of it."""
    return listing(services.log_of(caller_of(request), channel_id), page, delivery_dict)
