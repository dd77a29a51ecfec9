"""How long a login lasts: a while after it was last used, and never longer than a limit in all.

Both limits are one moment in the session's row, `expire_date`. Pages, API and sockets look at that
row anyway, so a session that is over is over everywhere, and nothing else has to be asked.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from allauth.core import context
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.auth.callers import caller_from_page

STARTED, SEEN = "signed_in_at", "seen_at"
# A session that is used every second need not be written every second.
_STEP_SECONDS = 60


class SessionList(DefaultUserSessionsAdapter):
    """allauth's hook for ending sessions: it is audited first."""

    def end_sessions(self, sessions: Sequence[UserSession]) -> None:
        caller = caller_from_page(context.request)
        audit.record(caller, "session.end", caller.user, sessions=len(sessions))
        super().end_sessions(sessions)


def start(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    """A new login: its time begins, and it is listed among the person's sessions."""
    now = timezone.now()
    request.session[STARTED] = now.isoformat()
    _renew(request, now)
    if request.META.get("REMOTE_ADDR"):
        UserSession.objects.create_from_request(request)


def touch(request: HttpRequest) -> None:
    """Note that a login was used just now."""
    session = request.session
    if not session.accessed or SESSION_KEY not in session:
        return
    now = timezone.now()
    seen = _moment(session.get(SEEN))
    step = min(_STEP_SECONDS, settings.SESSION_COOKIE_AGE / 10)
    if seen is not None and now - seen < timedelta(seconds=step):
        return
    session.setdefault(STARTED, now.isoformat())
    _renew(request, now)
    UserSession.objects.filter(session_key=session.session_key).update(last_seen_at=now)


def forget_ended() -> int:
    """Delete the rows of sessions that are over; how many there were."""
    ended, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    return ended


def _renew(request: HttpRequest, now: datetime) -> None:
    started = _moment(request.session[STARTED]) or now
    unused = now + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    whole = started + timedelta(seconds=settings.SESSION_LIMIT_SECONDS)
    request.session[SEEN] = now.isoformat()
    request.session.set_expiry(min(unused, whole))


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
