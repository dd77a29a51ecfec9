"""The seed of a second factor opens for its own person alone, and old ones are bound."""

import importlib
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from accounts.auth.mfa import _UNBOUND, context_of
from core.security import crypto
from core.security.crypto import SecretUnreadable
from tests import factories
from tests.signin.conftest import code_of_app

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def move(kind: str, giver: Any, taker: Any) -> None:
    """As a thief of the database would: somebody's row becomes another one's."""
    Authenticator.objects.filter(user=taker, type=kind).delete()
    Authenticator.objects.filter(user=giver, type=kind).update(user=taker)


def test_a_row_that_was_moved_opens_for_nobody() -> None:
    thief, ada = factories.make_user("thief"), factories.make_user("ada")
    secret = generate_totp_secret()
    TOTP.activate(thief, secret)
    RecoveryCodes.activate(thief)
    for kind in (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES):
        move(kind, thief, ada)
    rows = {row.type: row for row in Authenticator.objects.filter(user=ada)}
    with pytest.raises(SecretUnreadable):
        TOTP(rows["totp"]).validate_code(code_of_app(secret))
    with pytest.raises(SecretUnreadable):
        RecoveryCodes(rows["recovery_codes"]).get_unused_codes()


def test_a_seed_opens_in_no_other_field() -> None:
    user = factories.make_user()
    TOTP.activate(user, generate_totp_secret())
    codes = RecoveryCodes.activate(user).instance
    codes.data["seed"] = Authenticator.objects.get(type="totp").data["secret"]
    codes.save()
    with pytest.raises(SecretUnreadable):
        RecoveryCodes(Authenticator.objects.get(pk=codes.pk)).get_unused_codes()


def test_a_login_with_a_seed_that_does_not_open_is_refused_without_a_fault() -> None:
    thief, ada = factories.make_user("thief"), factories.make_user("ada")
    secret = generate_totp_secret()
    TOTP.activate(thief, secret)
    move("totp", thief, ada)
    client = Client(raise_request_exception=False)
    client.post("/accounts/login/", {"login": "ada", "password": "password"})
    answer = client.post("/accounts/2fa/authenticate/", {"code": code_of_app(secret)})
    assert answer.status_code == 200
    assert "Incorrect code" in answer.content.decode()
    assert client.get("/").status_code == 302


def test_codes_are_used_and_read_as_before() -> None:
    user = factories.make_user()
    codes = RecoveryCodes.activate(user)
    first = codes.get_unused_codes()[0]
    assert codes.validate_code(first)
    again = RecoveryCodes(Authenticator.objects.get(user=user))
    assert not again.validate_code(first)
    assert len(again.get_unused_codes()) == 9


def test_the_migration_binds_what_is_there_and_leaves_what_no_key_opens(settings: Any) -> None:
    user, other = factories.make_user(), factories.make_user()
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    TOTP.activate(other, generate_totp_secret())
    migration = importlib.import_module("accounts.migrations.0007_bound_seeds")
    migration.unbind(apps, connection.schema_editor())
    lost = crypto.encrypt("lost", "mfa.authenticator/elsewhere")
    Authenticator.objects.filter(user=other).update(data={"secret": lost})
    stored = Authenticator.objects.get(user=user).data["secret"]
    assert crypto.decrypt(stored, "mfa.authenticator") == secret
    migration.bind(apps, connection.schema_editor())
    bound = Authenticator.objects.get(user=user)
    assert crypto.decrypt(bound.data["secret"], context_of(user.pk, "totp", "secret")) == secret
    assert TOTP(bound).validate_code(code_of_app(secret))
    assert Authenticator.objects.get(user=other).data["secret"] == lost
    with pytest.raises(SecretUnreadable):
        crypto.decrypt(bound.data["secret"], _UNBOUND)


def test_one_seed_that_no_key_opens_stops_no_other(settings: Any) -> None:
    old = settings.ENCRYPTION_KEYS
    users = [factories.make_user(f"person{number}") for number in range(3)]
    for user in users:
        RecoveryCodes.activate(user)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    RecoveryCodes.activate(factories.make_user("lost"))
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, *old]
    with pytest.raises(CommandError, match=r"mfa\.authenticator \d+ seed$") as told:
        call_command("rotate_keys")
    assert "1 second factors" in str(told.value)
    settings.ENCRYPTION_KEYS = [new]
    for user in users:
        assert RecoveryCodes(Authenticator.objects.get(user=user)).get_unused_codes()
