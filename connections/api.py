"""Connections over the REST API: declare, look up, call a service, answer."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status

from accounts.auth.callers import caller_of
from accounts.auth.idempotency import REPEATABLE, once, once_prepared
from connections import inputs, schemas, services, visits
from connections.serializers import as_dict, event_dict, status_dict
from core.pagination import Page, listing

router = Router(tags=["connections"])


@router.get("", response=schemas.ConnectionList)
def list_connections(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    """The machines of the caller's teams, by name."""
    rows = services.visible(caller_of(request)).order_by("name", "pk")
    return listing(rows, page, as_dict)


@router.post("", response={201: schemas.ConnectionOut}, openapi_extra=REPEATABLE)
def create_connection(request: HttpRequest, payload: schemas.ConnectionIn) -> Any:
    """Add a machine; with `auto_connect` it connects by itself."""
    caller = caller_of(request)
    return once_prepared(
        request,
        lambda: inputs.new(caller, payload.model_dump(exclude_unset=True)),
        lambda row: Status(201, as_dict(services.add(caller, row))),
    )


@router.post("/test", response=schemas.StepsOut)
def test_new_connection(request: HttpRequest, payload: schemas.ConnectionIn) -> dict[str, Any]:
    """Try a machine step by step without storing it."""
    caller = caller_of(request)
    row = inputs.new(caller, payload.model_dump(exclude_unset=True))
    return visits.test(caller, row)


@router.get("/{connection_id}", response=schemas.ConnectionOut)
def get_connection(request: HttpRequest, connection_id: UUID) -> dict[str, Any]:
    return as_dict(services.find(caller_of(request), connection_id))


@router.patch("/{connection_id}", response=schemas.ConnectionOut)
def change_connection(
    request: HttpRequest, connection_id: UUID, payload: schemas.ConnectionPatch
) -> dict[str, Any]:
    """Change what is sent; a held session is reopened if it no longer fits."""
    fields = payload.model_dump(exclude_unset=True)
    return as_dict(services.change(caller_of(request), connection_id, fields))


@router.delete("/{connection_id}", response={204: None})
def delete_connection(request: HttpRequest, connection_id: UUID) -> Status[None]:
    """Into the trash, from which it comes back by `restore` within 30 days."""
    services.delete(caller_of(request), connection_id)
    return Status(204, None)


@router.post("/{connection_id}/restore", response=schemas.ConnectionOut)
def restore_connection(request: HttpRequest, connection_id: UUID) -> dict[str, Any]:
    return as_dict(services.restore(caller_of(request), connection_id))


@router.post(
    "/{connection_id}/connect", response={202: schemas.ConnectionOut}, openapi_extra=REPEATABLE
)
def connect_connection(request: HttpRequest, connection_id: UUID) -> Any:
    """Wish it connected; the state follows by itself."""
    caller = caller_of(request)
    return once(request, lambda: Status(202, as_dict(services.connect(caller, connection_id))))


@router.post(
    "/{connection_id}/disconnect", response={202: schemas.ConnectionOut}, openapi_extra=REPEATABLE
)
def disconnect_connection(request: HttpRequest, connection_id: UUID) -> Any:
    """Wish it let go."""
    caller = caller_of(request)
    return once(request, lambda: Status(202, as_dict(services.disconnect(caller, connection_id))))


@router.get("/{connection_id}/status", response=schemas.StatusOut)
def get_connection_status(request: HttpRequest, connection_id: UUID) -> dict[str, Any]:
    return status_dict(services.find(caller_of(request), connection_id))


@router.post("/{connection_id}/test", response=schemas.StepsOut)
def test_connection(request: HttpRequest, connection_id: UUID) -> dict[str, Any]:
    """Try the stored machine step by step."""
    caller = caller_of(request)
    row = services.find(caller, connection_id, "connection.test")
    return visits.test(caller, row)


@router.post("/{connection_id}/host-key", response=schemas.ConnectionOut)
def accept_host_key(
    request: HttpRequest, connection_id: UUID, payload: schemas.HostKeyIn
) -> dict[str, Any]:
    """Accept exactly this host key; in place of another one, with the password given again."""
    caller, sent = caller_of(request), payload
    row = services.accept_host_key(caller, connection_id, sent.fingerprint, sent.password)
    return as_dict(row)


@router.get("/{connection_id}/events", response=schemas.EventList, by_alias=True)
def list_connection_events(
    request: HttpRequest, connection_id: UUID, page: Query[Page]
) -> dict[str, Any]:
    """Changes of state and wish, newest first."""
    row = services.find(caller_of(request), connection_id)
    return listing(row.events.order_by("-id"), page, event_dict)
