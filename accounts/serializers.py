"""People, teams, tokens and audit rows as other programs see them; never a secret."""

from typing import Any

from accounts.models import ApiToken, AuditEvent, Invitation, Membership, Team, User
from core.times import iso


def token_dict(token: ApiToken) -> dict[str, Any]:
    return {
        "id": str(token.pk),
        "name": token.name,
        "scope": token.scope,
        "hint": token.hint,
        "created_at": iso(token.created_at),
        "expires_at": iso(token.expires_at),
        "last_used_at": iso(token.last_used_at),
    }


def team_dict(team: Team, role: str | None) -> dict[str, Any]:
    """A team and what the caller is in it."""
    return {
        "id": str(team.pk),
        "name": team.name,
        "role": role,
        "created_at": iso(team.created_at),
    }


def member_dict(membership: Membership) -> dict[str, Any]:
    """Needs the row's user without a further query: `select_related("user")`."""
    return {
        "user_id": membership.user_id,
        "username": membership.user.username,
        "email": membership.user.email,
        "role": membership.role,
        "is_active": membership.user.is_active,
        "created_at": iso(membership.created_at),
    }


def invitation_dict(row: Invitation) -> dict[str, Any]:
    """Without the link, of which only a hash is kept."""
    return {
        "id": str(row.pk),
        "role": row.role,
        "email": row.email or None,
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
    }


def user_dict(user: User) -> dict[str, Any]:
    return {
        "id": user.pk,
        "username": user.username,
        "email": user.email,
        "is_active": user.is_active,
        "is_superuser": user.is_superuser,
        "last_login": iso(user.last_login),
        "created_at": iso(user.date_joined),
    }


def audit_dict(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": iso(event.at),
        "actor": event.actor_name,
        "token": event.token_name or None,
        "team_id": str(event.team_id) if event.team_id else None,
        "action": event.action,
        "object_type": event.object_type or None,
        "object_id": event.object_id or None,
        "object_name": event.object_name or None,
        "address": event.address,
        "detail": event.detail,
    }
