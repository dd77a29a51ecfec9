"""Second factors: whom the setting asks for one, what stays open, and how seeds are kept."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.audit import denials
from accounts.models import AuditEvent, Role, User
from dgxsite.sockets import access as sockets_access
from tests import factories
from tests.live import people
from tests.signin.conftest import code_of_app

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def member(name: str, role: str) -> User:
    user = factories.make_user(name)
    factories.join(user, factories.make_team(), role)
    return user


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def log_in(name: str) -> tuple[Client, Any]:
    client = Client()
    return client, client.post("/accounts/login/", {"login": name, "password": "password"})


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMINISTRATOR])
def test_rank_without_second_factor_is_led_to_set_one_up(settings: Any, role: str) -> None:
    settings.REQUIRE_MFA = True
    client = client_of(member("ada", role))
    for path in ("/", "/account/", "/machines/add", "/this-machine", "/api/v1/docs"):
        answer = client.get(path)
        assert answer.headers.get("Location") == "/accounts/2fa/" or answer.status_code == 403
    assert "Your role needs a second factor" in client.get("/accounts/2fa/").content.decode()


def test_staff_and_superusers_are_asked_too(settings: Any) -> None:
    settings.REQUIRE_MFA = True
    for user in (
        factories.make_user("staff", is_staff=True),
        factories.make_user("root", is_superuser=True),
    ):
        assert client_of(user).get("/admin/").headers["Location"] == "/accounts/2fa/"


def test_viewer_is_not_asked(settings: Any) -> None:
    settings.REQUIRE_MFA = True
    assert client_of(member("guest", Role.VIEWER)).get("/").status_code == 200


def test_nobody_is_asked_unless_the_setting_says_so() -> None:
    assert client_of(member("ada", Role.ADMINISTRATOR)).get("/").status_code == 200


def test_api_answers_a_session_with_a_problem_and_a_token_as_ever(settings: Any) -> None:
    settings.REQUIRE_MFA = True
    user = member("ada", Role.ADMINISTRATOR)
    answer = client_of(user).get("/api/v1/connections")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_required")
    bearer = {"Authorization": f"Bearer {factories.make_token(user)}"}
    assert Client().get("/api/v1/connections", headers=bearer).status_code == 200


def test_socket_of_a_session_needs_it_and_of_a_token_does_not(settings: Any) -> None:
    settings.REQUIRE_MFA = True
    user = member("ada", Role.OPERATOR)
    by_session = {"headers": people.with_session(people.log_in(user))}
    by_token = {"headers": people.with_token(factories.make_token(user))}
    assert sockets_access.admit(by_session) is None
    assert sockets_access.admit(by_token) is not None
    TOTP.activate(user, generate_totp_secret())
    assert sockets_access.admit(by_session) is not None


def test_open_socket_ends_when_the_last_factor_goes(settings: Any) -> None:
    settings.REQUIRE_MFA = True
    user = member("ada", Role.OPERATOR)
    TOTP.activate(user, generate_totp_secret())
    admitted = sockets_access.admit({"headers": people.with_session(people.log_in(user))})
    assert admitted is not None
    assert sockets_access.standing([admitted[0]])
    Authenticator.objects.all().delete()
    assert not sockets_access.standing([admitted[0]])


def test_recovery_codes_alone_are_no_second_factor(settings: Any) -> None:
    settings.REQUIRE_MFA = True
    user = member("ada", Role.OPERATOR)
    RecoveryCodes.activate(user)
    assert client_of(user).get("/").headers["Location"] == "/accounts/2fa/"


def test_code_opens_once_and_a_recovery_code_too() -> None:
    secret = generate_totp_secret()
    user = factories.make_user("ada")
    TOTP.activate(user, secret)
    spare = RecoveryCodes.activate(user).get_unused_codes()[0]
    for code in (code_of_app(secret), spare):
        client, answer = log_in("ada")
        assert answer.headers["Location"] == "/accounts/2fa/authenticate/"
        assert client.get("/").status_code == 302
        client.post("/accounts/2fa/authenticate/", {"code": code})
        assert client.get("/").status_code == 200
        again, _ = log_in("ada")
        page = again.post("/accounts/2fa/authenticate/", {"code": code}).content.decode()
        assert "Incorrect code" in page
        assert again.get("/").status_code == 302


def test_guessing_codes_is_locked() -> None:
    TOTP.activate(factories.make_user("ada"), generate_totp_secret())
    client, _ = log_in("ada")
    for _ in range(6):
        answer = client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert "Too many wrong attempts" in answer.content.decode()


def test_wrong_codes_and_passkeys_are_one_row_of_the_audit() -> None:
    user = factories.make_user("ada")
    TOTP.activate(user, generate_totp_secret())
    client, _ = log_in("ada")
    client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    passkey = {"credential": '{"id": "x", "response": {}}'}
    client.post("/accounts/2fa/authenticate/", passkey)
    Client().post("/accounts/2fa/webauthn/login/", passkey)
    denials.write_down(timezone.now() + timedelta(minutes=2))
    rows = AuditEvent.objects.filter(action__endswith=".failed")
    found = {(row.action, row.actor_name): row.detail for row in rows}
    assert {key: detail["count"] for key, detail in found.items()} == {
        ("second_factor.failed", "ada"): 2,
        ("login.failed", "somebody"): 1,
    }
    assert found["second_factor.failed", "ada"]["first"] == {"kind": "totp"}
    assert "000000" not in str(found)


def test_half_a_login_opens_no_socket() -> None:
    TOTP.activate(factories.make_user("ada"), generate_totp_secret())
    client, _ = log_in("ada")
    key = client.session.session_key
    assert key is not None
    assert sockets_access.admit({"headers": people.with_session(key)}) is None


def test_setting_up_asks_for_the_password_again() -> None:
    factories.make_user("ada")
    client, _ = log_in("ada")
    for path in ("totp/activate/", "webauthn/add/"):
        location = client.get(f"/accounts/2fa/{path}").headers["Location"]
        assert location.startswith("/accounts/reauthenticate/")


def test_seeds_are_nowhere_in_clear() -> None:
    secret = generate_totp_secret()
    user = factories.make_user("ada")
    TOTP.activate(user, secret)
    spare = RecoveryCodes.activate(user)
    with connection.cursor() as cursor:
        cursor.execute("SELECT data::text FROM mfa_authenticator")
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert secret not in stored
    assert not any(code in stored for code in spare.get_unused_codes())


def test_keys_are_rotated_with_everything_else(settings: Any) -> None:
    secret = generate_totp_secret()
    totp = TOTP.activate(factories.make_user("ada"), secret)
    old = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *old]
    call_command("rotate_keys")
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    totp.instance.refresh_from_db()
    assert totp.validate_code(code_of_app(secret))


def test_seed_that_no_key_opens_is_told(settings: Any) -> None:
    TOTP.activate(factories.make_user("ada"), generate_totp_secret())
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="1 second factors"):
        call_command("rotate_keys")


def test_superuser_gives_a_way_back_in_and_staff_cannot() -> None:
    lost = factories.make_user("lost")
    TOTP.activate(lost, generate_totp_secret())
    fields = {"action": "remove_second_factors", "_selected_action": [lost.pk]}
    staff = factories.make_user("staff", is_staff=True)
    client_of(staff).post("/admin/accounts/user/", fields)
    assert Authenticator.objects.filter(user=lost).exists()
    root = factories.make_user("root", is_staff=True, is_superuser=True)
    client_of(root).post("/admin/accounts/user/", fields)
    assert not Authenticator.objects.filter(user=lost).exists()
    assert AuditEvent.objects.get(action="second_factor.remove").object_name == "lost"


def test_command_gives_a_way_back_in(capsys: pytest.CaptureFixture[str]) -> None:
    TOTP.activate(factories.make_user("lost"), generate_totp_secret())
    call_command("remove_second_factors", "lost")
    assert not Authenticator.objects.exists()
    assert AuditEvent.objects.get().action == "second_factor.remove"
    with pytest.raises(CommandError, match="nobody called x"):
        call_command("remove_second_factors", "x")


@pytest.mark.parametrize("path", ["mfa/authenticator/", "usersessions/usersession/"])
def test_back_office_shows_no_rows_of_the_login(path: str) -> None:
    root = factories.make_user("root", is_staff=True, is_superuser=True)
    assert client_of(root).get(f"/admin/{path}").status_code == 404


NONSENSE = [
    "",
    "x",
    "[]",
    "{}",
    "null",
    "1e999",
    "[" * 100_000,
    '{"id": "x", "response": {"userHandle": "!"}}',
    '{"id": "x", "rawId": "x", "response": {}}',
    '{"id": "AA", "rawId": "AA", "response": {"userHandle": "AA", "clientDataJSON": "AA"}}',
    '{"id": "\\ud800", "rawId": 1, "response": []}',
]


@pytest.mark.parametrize("credential", NONSENSE)
def test_nonsense_for_a_passkey_is_refused_in_every_place(credential: str) -> None:
    answer = Client().post("/accounts/2fa/webauthn/login/", {"credential": credential})
    assert answer.headers["Location"] == "/accounts/login/"
    factories.make_user("ada")
    client, _ = log_in("ada")
    client.post("/accounts/reauthenticate/", {"password": "password"})
    client.get("/accounts/2fa/webauthn/add/")
    fields = {"name": "x" * 10_000, "credential": credential}
    assert client.post("/accounts/2fa/webauthn/add/", fields).context["form"].errors
    TOTP.activate(User.objects.get(), generate_totp_secret())
    half, _ = log_in("ada")
    half.get("/accounts/2fa/authenticate/")
    page = half.post("/accounts/2fa/authenticate/", {"credential": credential})
    assert page.context["webauthn_form"].errors
    assert not Authenticator.objects.filter(type=Authenticator.Type.WEBAUTHN).exists()
