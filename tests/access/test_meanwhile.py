"""People, tokens and the back office: what others did since a row was read stays done."""

from typing import Any

import pytest
from django.contrib.auth.hashers import check_password
from django.test import Client

from accounts import tokens
from accounts.admin import NewPassword, PersonAdmin
from accounts.models import ApiToken, Role, Scope, User
from accounts.policy import Caller
from accounts.signin.adapter import SiteAccounts
from accounts.teams import services as teams_services
from alerts.admin import RuleAdmin
from alerts.models import AlertRule
from core.errors import NotFound
from jobs import services as jobs
from jobs.models import MachineQueue
from tests import factories
from tests.meanwhile import behind

pytestmark = pytest.mark.django_db(transaction=True)

WORD = "a-long-Passw0rd-x"


@pytest.fixture
def root() -> User:
    return factories.make_user("root", is_superuser=True, is_staff=True)


@pytest.fixture
def office(root: User) -> Client:
    client = Client()
    client.force_login(root)
    return client


def test_a_new_password_brings_nobody_back(root: User) -> None:
    person = factories.make_user()
    teams_services.set_active(Caller(root), person.pk, active=False)
    SiteAccounts().set_password(person, WORD)
    now = User.objects.get(pk=person.pk)
    assert (now.is_active, check_password(WORD, now.password)) == (False, True)


def test_nor_does_one_that_the_back_office_sets(root: User) -> None:
    person = factories.make_user()
    fields = {"password1": WORD, "password2": WORD, "usable_password": "true"}
    form = NewPassword(person, fields)
    assert form.is_valid(), form.errors
    teams_services.set_active(Caller(root), person.pk, active=False)
    form.save()
    now = User.objects.get(pk=person.pk)
    assert (now.is_active, check_password(WORD, now.password)) == (False, True)


def test_the_back_office_writes_what_its_form_changed(
    office: Client, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = factories.make_user("ada")
    save = PersonAdmin.save_model

    def overtaken(admin: Any, request: Any, obj: User, form: Any, change: bool) -> None:
        # As if committed by another request since the form's row was read.
        User.objects.filter(pk=person.pk).update(last_name="Lovelace", is_active=False)
        save(admin, request, obj, form, change)

    monkeypatch.setattr(PersonAdmin, "save_model", overtaken)
    page = f"/admin/accounts/user/{person.pk}/change/"
    assert office.post(page, _shown(office, page) | {"first_name": "Ada"}).status_code == 302
    now = User.objects.get(pk=person.pk)
    assert (now.first_name, now.last_name, now.is_active) == ("Ada", "Lovelace", False)


@pytest.mark.parametrize("is_gone", [False, True])
def test_the_back_office_brings_no_rule_back(
    office: Client, monkeypatch: pytest.MonkeyPatch, is_gone: bool
) -> None:
    rule = AlertRule.objects.create(
        team=factories.make_team(),
        name="Too hot",
        metric="gpu_temperature_c",
        comparison=">",
        threshold=80.0,
    )
    save = RuleAdmin.save_model

    def overtaken(admin: Any, request: Any, obj: AlertRule, form: Any, change: bool) -> None:
        rows = AlertRule.objects.filter(pk=rule.pk)
        if is_gone:
            rows.delete()
        else:
            rows.update(deleted_at="2026-01-01T00:00Z")
        save(admin, request, obj, form, change)

    monkeypatch.setattr(RuleAdmin, "save_model", overtaken)
    page = f"/admin/alerts/alertrule/{rule.pk}/change/"
    office.post(page, _shown(office, page) | {"threshold": "90"}, follow=True)
    assert not AlertRule.objects.living().filter(threshold=90).exists()
    if not is_gone:
        rule.refresh_from_db()
        assert (rule.threshold, rule.revision) == (90.0, 2)


def test_a_token_does_not_come_back_without_the_one_that_made_it() -> None:
    person = factories.make_user()
    maker = ApiToken.issue(person, "maker", Scope.ADMIN)[0]
    made = ApiToken.issue(person, "made", Scope.READ, made_with=maker)[0]
    caller = Caller(person)
    tokens.revoke(caller, made.pk)
    second = behind(
        lambda: tokens.revoke(caller, maker.pk), lambda: tokens.restore(caller, made.pk)
    )
    assert isinstance(second.exception(), NotFound)
    assert not ApiToken.living().exists()


def test_a_queue_that_is_paused_meanwhile_says_by_whom() -> None:
    person, machine = factories.make_user(), factories.make_connection()
    factories.join(person, machine.team, Role.ADMINISTRATOR)
    caller = Caller(person)
    second = behind(
        lambda: jobs.change_queue(caller, machine.pk, {"is_paused": True}),
        lambda: jobs.change_queue(caller, machine.pk, {"hold_seconds": 20.0}),
    )
    assert second.exception() is None
    queue = MachineQueue.objects.get(pk=machine.pk)
    assert (queue.is_paused, queue.paused_by, queue.hold_seconds) == (True, person, 20.0)


def _shown(office: Client, page: str) -> dict[str, Any]:
    """What the page's form would send if nothing were changed."""
    form = office.get(page).context["adminform"].form
    sent: dict[str, Any] = {}
    for name in form.fields:
        bound = form[name]
        value = bound.value()
        if hasattr(bound.field.widget, "decompress"):
            parts = bound.field.widget.decompress(value)
            sent |= {f"{name}_{place}": part or "" for place, part in enumerate(parts)}
        elif value is not None and value is not False:
            sent[name] = value
    return sent
