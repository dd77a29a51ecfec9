"""Servers that notifications arrive at, and a team with people to tell."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache

from accounts.models import Role, Team, User
from notifications.models import Channel
from tests import factories
from tests.notifications import receivers


@dataclass(frozen=True)
class Crew:
    """A team's people, and somebody of another team."""

    team: Team
    boss: User
    operator: User
    viewer: User
    stranger: User


@pytest.fixture
def crew(db: None) -> Crew:
    team, other = factories.make_team(), factories.make_team()
    people = {
        name: factories.make_user(email=f"{name}@example.org")
        for name in ("boss", "operator", "viewer", "stranger")
    }
    factories.join(people["boss"], team, Role.ADMINISTRATOR)
    factories.join(people["operator"], team, Role.OPERATOR)
    factories.join(people["viewer"], team, Role.VIEWER)
    factories.join(people["stranger"], other, Role.ADMINISTRATOR)
    return Crew(team, **people)


@pytest.fixture
def web() -> Iterator[receivers.WebServer]:
    with receivers.web_server() as site:
        yield site


@pytest.fixture
def mail(settings: Any) -> Iterator[receivers.MailServer]:
    with receivers.mail_server() as mailbox:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mailbox.port
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield mailbox


@pytest.fixture
def loopback(settings: Any) -> None:
    """Channels may lead to loopback, where the test's servers are."""
    settings.ALLOW_LOOPBACK = True


@pytest.fixture(autouse=True)
def _no_limits_left_over() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def make_channel(team: Team, url: str, kind: str = "webhook", secret: str = "") -> Channel:
    """A channel as it is stored, without asking whether its address is allowed."""
    channel = Channel(team=team, name=f"{kind} {Channel.objects.count()}", kind=kind)
    channel.set_secret("url", url)
    channel.set_secret("secret", secret)
    channel.save()
    return channel
