"""The first start: a team, and exactly one way to become its administrator."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from accounts.models import AuditEvent, Role, SetupToken, Team, User
from accounts.signin import setup
from core.errors import Invalid, NotFound, SiteError
from tests import factories

PASSWORD = "a-long-Passw0rd-x"


@pytest.fixture(autouse=True)
def _no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DGX_ADMIN_USERNAME", "DGX_ADMIN_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.django_db
def test_the_link_makes_one_administrator() -> None:
    token = setup.prepare()
    assert token is not None
    assert setup.check(token)
    user = setup.create_first_administrator(token, "ada", PASSWORD)
    assert user.is_superuser
    assert user.is_staff
    assert authenticate(username="ada", password=PASSWORD) == user
    assert Team.default().memberships.get(user=user).role == Role.ADMINISTRATOR
    assert AuditEvent.objects.get().action == "user.first_administrator"
    assert not setup.check(token)
    with pytest.raises(NotFound):
        setup.create_first_administrator(token, "eve", PASSWORD)
    assert setup.prepare() is None


@pytest.mark.django_db
def test_each_start_replaces_the_link() -> None:
    first, second = setup.prepare(), setup.prepare()
    assert first is not None
    assert second is not None
    assert not setup.check(first)
    assert setup.check(second)
    assert SetupToken.objects.count() == 1
    assert second not in str(list(SetupToken.objects.values()))
    assert Team.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "x", "\udcff", "a" * 10_000, "\x00"])
def test_a_wrong_link_does_nothing(token: str) -> None:
    setup.prepare()
    assert not setup.check(token)
    with pytest.raises(NotFound):
        setup.create_first_administrator(token, "eve", PASSWORD)
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("username", "password"), [("ada", "short"), ("", PASSWORD), ("two words", PASSWORD)]
)
def test_bad_input_leaves_the_link_working(username: str, password: str) -> None:
    token = setup.prepare() or ""
    with pytest.raises(Invalid):
        setup.create_first_administrator(token, username, password)
    assert setup.check(token)


@pytest.mark.django_db
def test_the_environment_names_the_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGX_ADMIN_USERNAME", "root-of-site")
    monkeypatch.setenv("DGX_ADMIN_PASSWORD", "given")
    assert setup.prepare() is None
    assert authenticate(username="root-of-site", password="given") is not None
    User.objects.get().set_password("changed")
    monkeypatch.setenv("DGX_ADMIN_PASSWORD", "other")
    assert setup.prepare() is None
    assert authenticate(username="root-of-site", password="other") is None


@pytest.mark.django_db
def test_half_a_name_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGX_ADMIN_USERNAME", "ada")
    with pytest.raises(ImproperlyConfigured):
        setup.prepare()


@pytest.mark.django_db
def test_a_site_with_an_administrator_prints_no_link() -> None:
    factories.make_user(is_superuser=True)
    assert setup.prepare() is None
    assert not SetupToken.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_people_with_the_link_one_wins() -> None:
    token = setup.prepare() or ""

    def use(name: str) -> bool:
        try:
            setup.create_first_administrator(token, name, PASSWORD)
            return True
        except SiteError:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(use, ["ada", "eve", "bob", "dan"]))
    assert won.count(True) == 1
    assert User.objects.count() == 1
