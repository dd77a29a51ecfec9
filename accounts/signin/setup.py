"""The first start: a default team, and the way to the first administrator.

Either the environment names one (`DGX_ADMIN_USERNAME`, `DGX_ADMIN_PASSWORD`), or a one-time token
opens the set-up page. Only the token's hash is kept; each start makes a new one until it is used,
and none works any more once there is a superuser.
"""

import hashlib
import secrets

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from accounts import audit
from accounts.models import Membership, Role, SetupToken, Team, User
from accounts.teams.services import new_user
from core.env import env_str
from core.errors import NotFound


def prepare() -> str | None:
    """Make what the first start needs; the set-up token to print while nobody administers."""
    username, password = env_str("DGX_ADMIN_USERNAME"), env_str("DGX_ADMIN_PASSWORD")
    if bool(username) != bool(password):
        raise ImproperlyConfigured("Set DGX_ADMIN_USERNAME and DGX_ADMIN_PASSWORD together.")
    with transaction.atomic():
        team = Team.default()
        SetupToken.objects.all().delete()
        if _has_superuser():
            return None
        if username:
            _make_administrator(_named(username, password), team)
            return None
        token = secrets.token_urlsafe(32)
        SetupToken.objects.create(digest=_digest(token))
        return token


def check(token: str) -> bool:
    """Whether the set-up link works: it is the newest one and nobody administers yet."""
    return not _has_superuser() and SetupToken.objects.filter(digest=_digest(token)).exists()


def create_first_administrator(token: str, username: str, password: str) -> User:
    """Use the link. `NotFound` if it does not work (any more), `Invalid` for bad input."""
    with transaction.atomic():
        # The row's lock lets one of two people win; the other then finds no row.
        row = SetupToken.objects.select_for_update().filter(digest=_digest(token)).first()
        if row is None or _has_superuser():
            raise NotFound("This link was used already, or a newer start has replaced it.")
        user = new_user(username, "", password)
        _make_administrator(user, Team.default())
        row.delete()
    return user


def _has_superuser() -> bool:
    return User.objects.filter(is_superuser=True, is_active=True).exists()


def _named(username: str, password: str) -> User:
    """The person that the environment names; whoever sets it answers for the password."""
    audit.take_turn()  # before the row is locked, as everywhere
    rows = User.objects.select_for_update().filter(username=username)
    user = rows.first() or User(username=username)
    user.set_password(password)
    return user


def _make_administrator(user: User, team: Team) -> None:
    audit.record(None, "user.first_administrator", team, username=user.username)
    user.is_superuser = user.is_staff = user.is_active = True
    user.save()
    Membership.objects.update_or_create(team=team, user=user, defaults={"role": Role.ADMINISTRATOR})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
