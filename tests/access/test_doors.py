"""What nobody has declared is not there; what is declared asks for the smaller of two rights."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from accounts.models import ApiToken, Role, Scope, User
from accounts.policy import ACTIONS, ROUTES, Caller, Right, may
from dgxsite.urls import urlpatterns as site_urls
from tests import factories

_RANK = {"viewer": 1, "operator": 2, "administrator": 3, "read": 1, "operate": 2, "admin": 3}


def forgotten(request: HttpRequest) -> HttpResponse:
    """A view whose author forgot the login, the role and the table."""
    return HttpResponse("secret")


urlpatterns = [path("forgotten", forgotten), path("api/forgotten", forgotten), *site_urls]


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(factories.make_user(is_superuser=True, is_staff=True))
    return client


@override_settings(ROOT_URLCONF="tests.access.test_doors")
def test_an_undeclared_route_is_not_there_even_for_a_superuser(root: Client) -> None:
    assert root.get("/forgotten").status_code == 404
    answer = root.get("/api/forgotten")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@override_settings(ROOT_URLCONF="tests.access.test_doors")
def test_a_forgotten_login_is_asked_for_and_a_forgotten_method_refused(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROUTES, "forgotten", {"GET": "self.view"})
    assert Client().get("/forgotten").headers["Location"] == "/accounts/login/?next=/forgotten"
    assert root.get("/forgotten").status_code == 200
    assert root.head("/forgotten").status_code == 200
    answer = root.post("/forgotten")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


@override_settings(ROOT_URLCONF="tests.access.test_doors")
def test_an_action_that_is_not_in_the_table_is_refused(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROUTES, "forgotten", {"GET": "no.such.action"})
    assert root.get("/forgotten").status_code == 403


def test_the_back_office_is_for_staff(db: None) -> None:
    client = Client()
    client.force_login(factories.make_user())
    assert client.get("/admin/").status_code == 403
    assert client.get("/admin/login/").status_code == 403
    assert Client().get("/admin/").headers["Location"].startswith("/accounts/login/")


@pytest.mark.django_db
@pytest.mark.parametrize("scope", [None, *Scope.values])
def test_a_right_is_the_smaller_of_role_and_scope(scope: str | None) -> None:
    team, other = factories.make_team(), factories.make_team()
    for role in Role.values:
        user = factories.make_user()
        factories.join(user, team, role)
        token = ApiToken.issue(user, "t", scope)[0] if scope else None
        caller = Caller(user, token)
        for action, least in ACTIONS.items():
            if isinstance(least, Role):
                reach = min(_RANK[role], _RANK[scope] if scope else 3)
                assert may(caller, action, team) == (reach >= _RANK[least]), (role, action)
                assert not may(caller, action, other)
                assert not may(caller, action)
            else:
                expected = least in (Right.ANYONE, Right.PERSON)
                assert may(caller, action) == expected, (role, action)
        assert not may(caller, "no.such.action", team)


@pytest.mark.django_db
@pytest.mark.parametrize("scope", [None, *Scope.values])
def test_a_superuser_may_everything_that_the_scope_allows(scope: str | None) -> None:
    user: User = factories.make_user(is_superuser=True, is_staff=True)
    token = ApiToken.issue(user, "t", scope)[0] if scope else None
    caller, team = Caller(user, token), factories.make_team()
    reach = _RANK[scope] if scope else 3
    for action, least in ACTIONS.items():
        if isinstance(least, Role):
            assert may(caller, action, team) == (reach >= _RANK[least]), action
    assert may(caller, "user.create") == (reach == 3)
    assert may(caller, "admin.use") == (token is None)
    assert not may(caller, "no.such.action", team)
