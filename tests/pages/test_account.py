"""The account page, the first start, the login and the error pages."""

import re

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from accounts.models import ApiToken, User
from accounts.policy import ROUTES
from accounts.signin import setup
from dgxsite.urls import handler500
from dgxsite.urls import urlpatterns as site_urls
from tests.pages.people import People


def break_down(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret detail")


urlpatterns = [path("break", break_down), *site_urls]
__all__ = ["handler500", "urlpatterns"]


def test_token_is_shown_once(people: People) -> None:
    answer = people.guest.post("/account/tokens", {"name": "ci", "scope": "read", "days": "30"})
    secret = re.search(r"dgx_[A-Za-z0-9_-]{43}", answer.content.decode())
    assert secret is not None
    assert ApiToken.find(secret[0]) is not None
    assert answer.headers["Cache-Control"] == "no-store"
    assert secret[0] not in people.guest.get("/account/").content.decode()


def test_own_token_can_be_revoked_and_nobody_elses(people: People) -> None:
    guest = User.objects.get(username="guest")
    token, secret = ApiToken.issue(guest, "ci")
    assert people.stranger.post(f"/account/tokens/{token.pk}/revoke").status_code == 404
    assert ApiToken.find(secret) is not None
    people.guest.post(f"/account/tokens/{token.pk}/revoke")
    assert ApiToken.find(secret) is None


def test_shows_what_one_did_oneself_and_nobody_else(people: People) -> None:
    people.guest.post("/account/tokens", {"name": "ci", "scope": "read", "days": "30"})
    assert "token.create" in people.guest.get("/account/").content.decode()
    assert "token.create" not in people.stranger.get("/account/").content.decode()


@pytest.mark.parametrize("fields", [{}, {"name": "x", "scope": "root"}, {"name": "x", "days": "9"}])
def test_odd_tokens_are_not_made(people: People, fields: dict[str, str]) -> None:
    assert people.guest.post("/account/tokens", fields).status_code == 422
    assert not ApiToken.objects.exists()


def test_first_start_makes_one_administrator_and_logs_in(db: None, client: Client) -> None:
    token = setup.prepare()
    assert token is not None
    assert client.get(f"/setup/{token}").status_code == 200
    fields = {"username": "root", "password": "long-enough-77", "repeated": "long-enough-77"}
    answer = client.post(f"/setup/{token}", fields)
    assert answer.headers["Location"] == "/"
    assert User.objects.get().is_superuser
    assert client.get("/").status_code == 200
    assert client.get(f"/setup/{token}").status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"username": "", "password": "long-enough-77", "repeated": "long-enough-77"},
        {"username": "root", "password": "long-enough-77", "repeated": "another-77-word"},
        {"username": "root", "password": "short", "repeated": "short"},
    ],
)
def test_first_start_tells_what_is_wrong(db: None, client: Client, fields: dict[str, str]) -> None:
    token = setup.prepare()
    answer = client.post(f"/setup/{token}", fields)
    assert answer.context["form"].errors
    assert not User.objects.exists()


def test_wrong_setup_link_is_not_there(db: None, client: Client) -> None:
    setup.prepare()
    assert client.get("/setup/nonsense").status_code == 404


def test_login_has_one_answer_for_wrong_name_and_wrong_password(people: People) -> None:
    answers = [
        Client().post("/accounts/login/", {"login": name, "password": "wrong"})
        for name in ("guest", "nobody-of-this-name")
    ]
    told = [answer.context["form"].non_field_errors() for answer in answers]
    assert told[0] == told[1]
    assert told[0]


def test_missing_page_is_told_in_the_sites_design(client: Client, db: None) -> None:
    answer = client.get("/nothing/here")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


@override_settings(ROOT_URLCONF="tests.pages.test_account")
def test_fault_of_ours_has_a_number_to_quote(
    client: Client, db: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROUTES, "break", {"GET": "site.enter"})
    client.raise_request_exception = False
    answer = client.get("/break")
    page = answer.content.decode()
    number = re.search(r"[0-9a-f]{8}(?=</p>)", page)
    assert answer.status_code == 500
    assert number is not None
    assert number[0] in caplog.text
    assert "secret detail" not in page


@pytest.mark.parametrize("path", ["/", "/account/", "/accounts/login/", "/nothing"])
def test_every_page_carries_the_strict_policy(people: People, path: str) -> None:
    policy = people.guest.get(path).headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/", "/account/", "/machines/add", "/this-machine"])
def test_pages_have_no_inline_script_and_no_inline_style(people: People, path: str) -> None:
    page = people.boss.get(path).content.decode()
    assert not re.search(r"<script(?![^>]* src=)", page)
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", page)
