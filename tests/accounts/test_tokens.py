"""The page of one's tokens: shown once, revoked, brought back for a while."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, AuditEvent, User
from tests import factories
from tests.accounts.people import client_of


@pytest.fixture
def user(db: None) -> User:
    return factories.make_user("ada")


@pytest.fixture
def ada(user: User) -> Client:
    return client_of(user)


def test_a_secret_is_shown_once(ada: Client) -> None:
    answer = ada.post("/account/tokens", {"name": "ci", "scope": "operate", "days": "30"})
    found = re.search(r"dgx_[A-Za-z0-9_-]{43}", answer.content.decode())
    assert found is not None
    assert ApiToken.find(found[0]) is not None
    page = ada.get("/account/tokens").content.decode()
    assert found[0] not in page
    assert "ci" in page
    assert "operate" in page


def test_revoking_can_be_undone_for_ten_minutes(ada: Client, user: User) -> None:
    token, secret = ApiToken.issue(user, "ci")
    answer = ada.post(f"/account/tokens/{token.pk}/revoke", follow=True)
    assert "is revoked" in answer.content.decode()
    assert ApiToken.find(secret) is None
    ada.post(f"/account/tokens/{token.pk}/restore")
    assert ApiToken.find(secret) is not None
    actions = AuditEvent.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["token.revoke", "token.restore"]
    ApiToken.objects.update(revoked_at=timezone.now() - timedelta(minutes=11))
    assert ada.post(f"/account/tokens/{token.pk}/restore").status_code == 404
    page = ada.get(f"/account/tokens?revoked={token.pk}").content.decode()
    assert "is revoked" not in page


def test_tokens_of_others_are_neither_revoked_nor_brought_back(ada: Client) -> None:
    other = factories.make_user()
    token, secret = ApiToken.issue(other, "theirs")
    assert ada.post(f"/account/tokens/{token.pk}/revoke").status_code == 404
    assert ApiToken.find(secret) is not None
    ApiToken.objects.update(revoked_at=timezone.now())
    assert ada.post(f"/account/tokens/{token.pk}/restore").status_code == 404
    assert "theirs" not in ada.get(f"/account/tokens?revoked={token.pk}").content.decode()
    assert ada.get("/account/tokens?revoked=x").status_code == 200


def test_an_expired_token_is_marked(ada: Client, user: User) -> None:
    ApiToken.issue(user, "old", days=1)
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert "expired" in ada.get("/account/tokens").content.decode()
