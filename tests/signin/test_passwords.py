"""Names and passwords: one answer for all who fail, a lock-out with its end, and the way back."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.core.mail import EmailMessage
from django.test import Client

from accounts import mail as accounts_mail
from accounts.models import AuditEvent, User
from tests import factories

Letters = Callable[[int], list[EmailMessage]]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def try_to_log_in(name: str, password: str = "wrong", **environ: Any) -> Any:
    return Client(**environ).post("/accounts/login/", {"login": name, "password": password})


def told(answer: Any) -> str:
    return " ".join(answer.context["form"].non_field_errors())


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org"])
def test_logs_in_by_name_and_by_address(name: str) -> None:
    factories.make_user("ada", email="ada@example.org")
    assert try_to_log_in(name, "password").headers["Location"] == "/"


def test_five_failures_lock_and_say_for_how_long() -> None:
    factories.make_user("ada")
    for _ in range(5):
        assert told(try_to_log_in("ada")) == "That name and password do not go together."
    assert told(try_to_log_in("ada", "password")) == (
        "Too many wrong attempts. Try again in 5 minutes."
    )


def test_lock_ends_when_the_oldest_failure_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.make_user("ada")
    for _ in range(5):
        try_to_log_in("ada")
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 200)
    assert told(try_to_log_in("ada", "password")).endswith("in 2 minutes.")
    monkeypatch.setattr("time.time", lambda: now + 301)
    assert try_to_log_in("ada", "password").status_code == 302


def test_lock_holds_for_one_name_from_one_address_only() -> None:
    factories.make_user("ada")
    factories.make_user("bob")
    for _ in range(6):
        try_to_log_in("ada")
    assert try_to_log_in("bob", "password").status_code == 302
    assert try_to_log_in("ada", "password", REMOTE_ADDR="192.0.2.7").status_code == 302


def test_ten_failures_lock_nobody_else_behind_the_same_address() -> None:
    factories.make_user("ada")
    for number in range(12):
        try_to_log_in(f"nobody-{number}")
    assert try_to_log_in("ada", "password").status_code == 302


def test_an_address_that_goes_on_guessing_is_locked_for_every_name() -> None:
    factories.make_user("ada")
    for number in range(60):
        try_to_log_in(f"nobody-{number}")
    assert "Too many wrong attempts" in told(try_to_log_in("ada", "password"))
    assert try_to_log_in("ada", "password", REMOTE_ADDR="192.0.2.7").status_code == 302


def test_forged_forwarding_header_does_not_make_another_caller() -> None:
    factories.make_user("ada")
    for number in range(100):
        answer = try_to_log_in("ada", "wrong", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
        if answer.status_code == 429 or "Too many" in told(answer):
            break
    assert number < 10
    assert try_to_log_in("ada", "password", HTTP_X_FORWARDED_FOR="198.51.100.1").status_code != 302


def test_unknown_names_are_locked_like_known_ones() -> None:
    factories.make_user("ada")
    known, unknown = (
        [told(try_to_log_in(name, REMOTE_ADDR=address)) for _ in range(6)]
        for name, address in (("ada", "192.0.2.1"), ("nobody", "192.0.2.2"))
    )
    assert known == unknown


def test_lock_out_pauses_without_redis(settings: Any) -> None:
    factories.make_user("ada")
    settings.CACHES = {
        "default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    }
    for _ in range(6):
        try_to_log_in("ada")
    assert try_to_log_in("ada", "password").status_code == 302


@pytest.mark.parametrize(
    "name", ["ada", "ada@example.org", "nobody", "nobody@example.org", "passkey-only", "away"]
)
def test_every_failure_costs_one_password_hash(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing is nearly all of the time that an answer takes, so counting it is timing it."""
    factories.make_user("ada", email="ada@example.org")
    factories.make_user("away", is_active=False)
    factories.make_user("passkey-only")
    User.objects.get(username="passkey-only").set_unusable_password()
    hashed = []
    encode = MD5PasswordHasher.encode

    def counted(self: MD5PasswordHasher, *args: Any, **kwargs: Any) -> str:
        hashed.append(1)
        return encode(self, *args, **kwargs)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    try_to_log_in(name)
    assert len(hashed) == 1


def test_account_that_is_switched_off_stays_out() -> None:
    factories.make_user("away", is_active=False)
    assert told(try_to_log_in("away")) == "That name and password do not go together."
    assert try_to_log_in("away", "password").headers["Location"] == "/accounts/inactive/"


def test_new_password_by_mail_logs_the_old_sessions_out(letters: Letters) -> None:
    user = factories.make_user("ada", email="ada@example.org")
    elsewhere = Client()
    elsewhere.force_login(user)
    visitor = Client()
    visitor.post("/accounts/password/reset/", {"email": "ada@example.org"})
    (letter,) = letters(1)
    assert letter.to == ["ada@example.org"]
    link = re.search(r"http://testserver(/accounts/password/reset/key/\S+)", str(letter.body))
    assert link is not None
    form = visitor.get(link[1], follow=True)
    new = {"password1": "quite-another-77", "password2": "quite-another-77"}
    visitor.post(form.request["PATH_INFO"], new)
    assert try_to_log_in("ada", "quite-another-77").status_code == 302
    assert elsewhere.get("/account/").status_code == 302
    assert "does not work any more" in Client().get(link[1], follow=True).content.decode()
    assert AuditEvent.objects.filter(action="password.reset", actor_name="ada").count() == 1


def test_reset_answers_alike_and_writes_to_nobody_without_account(letters: Letters) -> None:
    factories.make_user("ada", email="ada@example.org")
    pages = []
    for address in ("nobody@example.org", "ada@example.org"):
        answer = Client().post("/accounts/password/reset/", {"email": address}, follow=True)
        pages.append(re.sub(r'data-now="[^"]+"', "", answer.content.decode()))
    assert pages[0] == pages[1]
    assert [letter.to for letter in letters(1)] == [["ada@example.org"]]


def test_site_without_mail_says_so_and_sends_none(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    user = factories.make_user("ada", email="ada@example.org")
    assert "sends no e-mail" in Client().get("/accounts/password/reset/").content.decode()
    done = Client().post("/accounts/password/reset/", {"email": user.email}, follow=True)
    assert "No mail is sent here" in done.content.decode()
    person = Client()
    person.force_login(user)
    assert "sends no e-mail" in person.get("/accounts/email/").content.decode()
    person.post("/accounts/email/", {"action_add": "", "email": "other@example.org"})
    assert not EmailAddress.objects.filter(email="other@example.org").exists()


def test_mail_server_that_refuses_is_logged_and_nothing_else(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    factories.make_user("ada", email="ada@example.org")
    answer = Client().post("/accounts/password/reset/", {"email": "ada@example.org"})
    assert answer.status_code == 302
    accounts_mail._sender.submit(lambda: None).result(10)
    assert "mail not sent: ConnectionRefusedError" in caplog.text


def change_address(person: Client, **fields: str) -> Any:
    """Through the page, with the password that it asks for first."""
    person.post("/accounts/reauthenticate/", {"password": "password"})
    return person.post("/accounts/email/", fields)


def test_address_changes_only_once_it_is_verified(letters: Letters) -> None:
    user = factories.make_user("ada", email="ada@example.org")
    person = Client()
    person.post("/accounts/login/", {"login": "ada", "password": "password"})
    change_address(person, action_add="", email="new@example.org")
    change_address(person, action_primary="", email="new@example.org")
    user.refresh_from_db()
    assert user.email == "ada@example.org"
    letter = next(one for one in letters(1) if one.to == ["new@example.org"])
    link = re.search(r"http://testserver(/accounts/confirm-email/\S+)", str(letter.body))
    assert link is not None
    person.post(link[1])
    user.refresh_from_db()
    assert user.email == "new@example.org"
    rows = EmailAddress.objects.filter(user=user).values_list("email", "verified")
    assert list(rows) == [("new@example.org", True)]


def test_address_that_an_administrator_replaced_opens_nothing(letters: Letters) -> None:
    user = factories.make_user("ada", email="old@example.org")
    user.email = "new@example.org"
    user.save()
    for address in ("old@example.org", "new@example.org"):
        Client().post("/accounts/password/reset/", {"email": address})
    assert [letter.to for letter in letters(1)] == [["new@example.org"]]
    assert told(try_to_log_in("old@example.org", "password"))


def test_same_address_for_two_people_stays_with_the_first() -> None:
    for name in ("ada", "bob"):
        factories.make_user(name, email="lab@example.org").save()
    assert [row.user.username for row in EmailAddress.objects.filter(verified=True)] == ["ada"]


def test_change_of_address_asks_for_the_password_first() -> None:
    factories.make_user("ada", email="ada@example.org")
    person = Client()
    person.post("/accounts/login/", {"login": "ada", "password": "password"})
    answer = person.post("/accounts/email/", {"action_add": "", "email": "new@example.org"})
    assert answer.headers["Location"].startswith("/accounts/reauthenticate/")
    assert mail.outbox == []


def test_nobody_signs_up() -> None:
    fields = {"username": "eve", "password1": "long-enough-77", "password2": "long-enough-77"}
    assert "made by an administrator" in Client().post("/accounts/signup/", fields).content.decode()
    assert not User.objects.filter(username="eve").exists()


def test_back_office_has_no_login_of_its_own() -> None:
    answer = Client().post("/admin/login/", {"username": "ada", "password": "password"})
    assert answer.headers["Location"].startswith("/accounts/login/")
