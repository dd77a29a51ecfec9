"""A restored database brings no way in back, and sends nothing twice."""

from datetime import timedelta

import pytest
from allauth.account.forms import default_token_generator
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import tokens
from accounts.models import ApiToken, IdempotentAnswer, Invitation, Role, SetupToken, User
from accounts.policy import Caller
from accounts.teams import invitations
from core.errors import NotFound
from dgxsite.up import restored
from notifications.delivery import sender
from notifications.models import Channel, Delivery, DeliveryStatus, Event
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss() -> Caller:
    user = factories.make_user("boss")
    factories.join(user, factories.make_team("lab"), Role.ADMINISTRATOR)
    return Caller(user)


def test_every_way_in_of_the_restored_state_is_closed(boss: Caller) -> None:
    team = boss.user.teams.get()
    client = Client()
    client.post("/accounts/login/", {"login": "boss", "password": "password"})
    assert client.get("/").status_code == 200
    secret = factories.make_token(boss.user)
    _, invitation = invitations.create(boss, team.pk, Role.ADMINISTRATOR)
    link = default_token_generator.make_token(boss.user)
    SetupToken.objects.create(digest="d")
    IdempotentAnswer.objects.create(user=boss.user, path="/", key="k", body_digest="d", status=201)
    ended = restored.end_all()
    assert client.get("/").status_code == 302
    assert ApiToken.find(secret) is None
    assert invitations.find(invitation) is None
    assert not default_token_generator.check_token(User.objects.get(pk=boss.user.pk), link)
    assert not Session.objects.exists()
    assert not SetupToken.objects.exists()
    assert not IdempotentAnswer.objects.exists()
    assert (ended["tokens"], ended["invitations"], ended["set-up links"]) == (1, 1, 1)
    with pytest.raises(NotFound):
        tokens.restore(boss, ApiToken.objects.get().pk)
    again = Client()
    again.post("/accounts/login/", {"login": "boss", "password": "password"})
    assert again.get("/").status_code == 200


def test_messages_that_waited_are_not_sent_again(boss: Caller) -> None:
    team = boss.user.teams.get()
    channel = Channel(team=team, name="hook", kind="webhook", shown_url="http://192.0.2.1")
    channel.set_secret("url", "http://192.0.2.1/")
    channel.save()
    event = Event.objects.create(team=team, kind="test", severity="info", title="News")
    waiting = Delivery.objects.create(event=event, channel=channel)
    long_ago = timezone.now() - timedelta(days=1)
    claimed = Delivery.objects.create(
        event=event, user=boss.user, status=DeliveryStatus.SENDING, claimed_until=long_ago
    )
    other = factories.make_user()
    sent = Delivery.objects.create(event=event, user=other, status=DeliveryStatus.SENT)
    assert restored.end_all()["messages on their way"] == 2
    assert sender.claim(timezone.now() + timedelta(days=1)) is None
    for row in (waiting, claimed):
        row.refresh_from_db()
        assert (row.status, row.detail) == (DeliveryStatus.DROPPED, restored.DROPPED)
    sent.refresh_from_db()
    assert sent.status == DeliveryStatus.SENT


def test_a_backup_that_is_older_than_the_code_is_closed_as_far_as_it_goes(boss: Caller) -> None:
    factories.make_token(boss.user)
    invitations.create(boss, boss.user.teams.get().pk, Role.VIEWER)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no table changes before it is checked
        cursor.execute("ALTER TABLE accounts_user DROP COLUMN links_from")
        cursor.execute("ALTER TABLE accounts_apitoken DROP COLUMN made_with_id CASCADE")
        cursor.execute("ALTER TABLE accounts_invitation DROP COLUMN made_with_id CASCADE")
        cursor.execute("DROP TABLE usersessions_usersession")
    ended = restored.end_all()
    assert (ended["tokens"], ended["invitations"]) == (1, 1)
    assert ended["people's links that reset a password"] == 0
    assert ApiToken.objects.filter(revoked_at=None).values("pk").count() == 0
    assert Invitation.objects.filter(revoked_at=None).values("pk").count() == 0


def test_the_second_time_there_is_nothing_left(boss: Caller) -> None:
    factories.make_token(boss.user)
    restored.end_all()
    again = restored.end_all()
    assert [words for words, count in again.items() if count] == [
        "people's links that reset a password"
    ]
