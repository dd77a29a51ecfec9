"""A connection as other programs see it: the API, the socket and the keeper's announcements."""

from typing import Any

from connections.models import Connection, ConnectionEvent
from core.times import iso


def as_dict(connection: Connection) -> dict[str, Any]:
    """The contract's connection object, ready for JSON; never a secret, and no query."""
    return {
        "id": str(connection.pk),
        "team_id": str(connection.team_id),
        "name": connection.name,
        "tags": connection.tags,
        "transport": connection.transport,
        "hostname": connection.hostname,
        "port": connection.port,
        "username": connection.username,
        "auth_method": connection.auth_method,
        "ssh_key_path": connection.ssh_key_path or None,
        "public_key": connection.public_key or None,
        "jump_connection_id": _text(connection.jump_connection_id),
        "host_key": connection.host_key or None,
        "offered_host_key": connection.offered_host_key or None,
        "ollama_port": connection.ollama_port,
        "auto_connect": connection.auto_connect,
        "is_active": connection.is_active,
        "status": connection.status,
        "reason": connection.reason or None,
        "detail": connection.detail or None,
        "since": iso(connection.since),
        "retry_at": iso(connection.retry_at),
        "uptime_seconds": connection.uptime_seconds,
        "last_connected_at": iso(connection.last_connected_at),
        "created_at": iso(connection.created_at),
        "updated_at": iso(connection.updated_at),
    }


def status_dict(connection: Connection) -> dict[str, Any]:
    """The short answer to "is it connected, and if not, why"."""
    return {
        "status": connection.status,
        "reason": connection.reason or None,
        "detail": connection.detail or None,
        "connected": connection.status == "connected",
        "uptime_seconds": connection.uptime_seconds,
        "since": iso(connection.since),
        "retry_at": iso(connection.retry_at),
        "host_key": connection.host_key or None,
        "offered_host_key": connection.offered_host_key or None,
    }


def event_dict(event: ConnectionEvent) -> dict[str, Any]:
    """One change of state or wish."""
    return {
        "at": iso(event.at),
        "from": event.from_status,
        "to": event.to_status,
        "reason": event.reason or None,
        "detail": event.detail or None,
        "actor": event.actor,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
