"""Sessions: where a person is logged in, how to end it, and when it ends by itself."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent
from accounts.signin import sessions as signin_sessions
from accounts.signin import setup
from dgxsite.sockets import access as sockets_access
from tests import factories
from tests.live import people

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def log_in(name: str, browser: str = "Firefox") -> Client:
    client = Client(headers={"User-Agent": browser})
    client.post("/accounts/login/", {"login": name, "password": "password"})
    return client


def key_of(client: Client) -> str:
    key = client.session.session_key
    assert key is not None
    return str(key)


def is_in(client: Client) -> bool:
    return bool(client.get("/account/").status_code == 200)


def later(monkeypatch: pytest.MonkeyPatch, **span: float) -> None:
    """Move this process's clock on from the real one."""
    now = timezone.now() + timedelta(**span)
    monkeypatch.setattr(timezone, "now", lambda: now)


def test_lists_all_logins_and_ends_the_others() -> None:
    factories.make_user("ada")
    factories.make_user("bob")
    here, there, stranger = log_in("ada"), log_in("ada", "Chromium at home"), log_in("bob")
    page = here.get("/accounts/sessions/").content.decode()
    assert "Chromium at home" in page
    assert "this one" in page
    here.post("/accounts/sessions/")
    assert [is_in(one) for one in (here, there, stranger)] == [True, False, True]
    assert AuditEvent.objects.get(action="session.end").detail == {"sessions": 1}
    assert "Nowhere else" in here.get("/accounts/sessions/").content.decode()


def test_ended_session_closes_its_socket() -> None:
    factories.make_user("ada")
    here, there = log_in("ada"), log_in("ada")
    admitted = sockets_access.admit({"headers": people.with_session(key_of(there))})
    assert admitted is not None
    here.post("/accounts/sessions/")
    assert not sockets_access.standing([admitted[0]])


def test_session_that_is_not_used_ends(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.make_user("ada")
    settings.SESSION_COOKIE_AGE = 3600
    client = log_in("ada")
    headers = people.with_session(key_of(client))
    admitted = sockets_access.admit({"headers": headers})
    assert admitted is not None
    later(monkeypatch, minutes=59)
    assert sockets_access.standing([admitted[0]])
    later(monkeypatch, minutes=61)
    assert not sockets_access.standing([admitted[0]])
    assert sockets_access.admit({"headers": headers}) is None
    assert not is_in(client)


def test_used_session_lasts_until_its_limit(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.make_user("ada")
    settings.SESSION_COOKIE_AGE, settings.SESSION_LIMIT_SECONDS = 3600, 3 * 3600
    client = log_in("ada")
    start = timezone.now()
    for minutes in range(30, 180, 30):
        monkeypatch.setattr(timezone, "now", lambda m=minutes: start + timedelta(minutes=m))
        assert is_in(client), minutes
    monkeypatch.setattr(timezone, "now", lambda: start + timedelta(minutes=181))
    assert not is_in(client)


def test_busy_session_is_written_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.make_user("ada")
    client = log_in("ada")
    client.get("/account/")
    stored = Session.objects.get(session_key=key_of(client)).expire_date
    client.get("/account/")
    assert Session.objects.get(session_key=key_of(client)).expire_date == stored
    later(monkeypatch, seconds=90)
    client.get("/account/")
    assert Session.objects.get(session_key=key_of(client)).expire_date > stored
    row = UserSession.objects.get(session_key=key_of(client))
    assert row.last_seen_at == timezone.now()


def test_rows_of_ended_sessions_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.make_user("ada")
    log_in("ada")
    later(monkeypatch, days=4)
    client = log_in("ada")
    assert signin_sessions.forget_ended() == 1
    assert [row.session_key for row in UserSession.objects.all()] == [key_of(client)]
    assert is_in(client)


def test_visitor_without_login_gets_no_session() -> None:
    client = Client()
    client.get("/accounts/login/")
    assert not Session.objects.exists()


def test_first_administrator_is_listed_too(client: Client) -> None:
    token = setup.prepare()
    fields = {"username": "root", "password": "long-enough-77", "repeated": "long-enough-77"}
    client.post(f"/setup/{token}", fields)
    assert "this one" in client.get("/accounts/sessions/").content.decode()


def test_new_login_gets_a_new_key() -> None:
    """A session key that somebody planted before the login is worth nothing after it."""
    factories.make_user("ada")
    client = Client()
    client.post("/accounts/login/", {"login": "ada", "password": "wrong"})
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    client.post("/accounts/login/", {"login": "ada", "password": "password"})
    assert key_of(client) != planted
