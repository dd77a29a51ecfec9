"""Django's admin shows staff their teams' rows and lets them do what their role lets them do.

Every registered admin is knocked at by three who are staff with all of Django's permissions (an
administrator of another team, a viewer and an administrator of the team) and by a superuser.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection
from django.test import Client, RequestFactory

from accounts.back_office import Told
from accounts.models import ApiToken, AuditEvent, Membership, Role, Team, User
from accounts.policy import Caller
from accounts.teams import invitations
from accounts.teams import services as teams_services
from core.errors import Conflict
from tests import factories
from tests.access.cast import Cast, make_cast

PEOPLE = ("stranger", "viewer", "administrator", "superuser")
_NONE, _SEES, _CHANGES = "nothing", "sees", "changes"
_TEAMS = (_NONE, _SEES, _CHANGES, _CHANGES)
_ROWS = (_NONE, _SEES, _SEES, _SEES)
_ADMINISTRATORS = (_NONE, _NONE, _CHANGES, _CHANGES)
_TRAIL = (_NONE, _NONE, _SEES, _SEES)
_SITES = (_NONE, _NONE, _NONE, _CHANGES)
# By the model: what stranger, viewer, administrator and superuser do with the team's row.
EXPECTED: dict[str, tuple[str, str, str, str]] = {
    "auth.Group": _SITES,
    "account.EmailAddress": _SITES,
    "accounts.User": _TEAMS,
    "accounts.Team": _TEAMS,
    "accounts.ApiToken": (_NONE, _SEES, _NONE, _SEES),  # the viewer's own
    "accounts.AuditEvent": _TRAIL,
    "connections.Connection": _TEAMS,
    "connections.Keeper": (_NONE, _NONE, _NONE, _SEES),
    "connections.ServerKey": (_NONE, _NONE, _NONE, _SEES),  # made and taken away, never changed
    "notifications.Channel": _ADMINISTRATORS,
    "notifications.Event": _ROWS,
    "notifications.Delivery": _TRAIL,
    "metrics.Retention": _SITES,  # the line of the whole site
    "alerts.AlertRule": _TEAMS,
    "alerts.Alert": _ROWS,
    "projects.Project": _TEAMS,
    "jobs.Job": _ROWS,
    "jobs.MachineQueue": _TEAMS,
    "usage.UsageSettings": _SITES,
}
MODELS = {model._meta.label: model for model in admin.site._registry}


@pytest.fixture
def cast(db: None, caplog: pytest.LogCaptureFixture) -> Cast:
    caplog.set_level(logging.CRITICAL, "django.request")
    found = make_cast()
    every = list(Permission.objects.all())
    for name in PEOPLE[:3]:
        found.users[name].is_staff = True
        found.users[name].save()
        found.users[name].user_permissions.set(every)
    # The person of the matrix's row is the viewer, who is staff here: take somebody else's row.
    member = factories.make_user("member")
    factories.join(member, Team.objects.get(name="the team"))
    found.values["accounts.user"] = member.pk
    return found


def page(cast: Cast, name: str, label: str) -> str:
    app, model = label.lower().split(".")
    answer = cast.pages[name].get(f"/admin/{app}/{model}/{cast.values[f'{app}.{model}']}/change/")
    if answer.status_code != 200:
        assert answer.status_code in (302, 403)
        return _NONE
    return _CHANGES if b'name="_save"' in answer.content else _SEES


def test_every_admin_is_expected() -> None:
    assert set(EXPECTED) == set(MODELS)


@pytest.mark.timeout(300)
def test_staff_get_their_teams_rows_with_their_rights(cast: Cast) -> None:
    wrong = []
    for label, expected in EXPECTED.items():
        seen = tuple(page(cast, name, label) for name in PEOPLE)
        wrong += [f"{label}: {seen}, not {expected}"] if seen != expected else []
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(300)
def test_lists_hold_and_actions_reach_no_row_that_the_page_would_not_show(cast: Cast) -> None:
    for label, expected in EXPECTED.items():
        app, model = label.lower().split(".")
        key = cast.values[f"{app}.{model}"]
        for name, can in zip(PEOPLE, expected, strict=True):
            client = cast.pages[name]
            shown = client.get(f"/admin/{app}/{model}/", {"all": ""}).content.decode()
            is_listed = f"/admin/{app}/{model}/{key}/change/" in shown
            assert is_listed == (can != _NONE), f"{label} {name}"
            if can == _CHANGES:
                continue
            # An entry may be taken away by who may not change it, and is shown for that.
            if client.get(f"/admin/{app}/{model}/{key}/delete/").status_code != 200:
                fields = {"action": "delete_selected", "_selected_action": str(key), "post": "yes"}
                client.post(f"/admin/{app}/{model}/", fields)
                client.post(f"/admin/{app}/{model}/{key}/delete/", {"post": "yes"})
            client.post(f"/admin/{app}/{model}/{key}/change/", {"name": "taken over"})
            row = MODELS[label]._base_manager.get(pk=key)
            assert "taken over" not in str(row)


@pytest.mark.timeout(300)
def test_forms_offer_nothing_of_another_team(cast: Cast) -> None:
    """In every form, also in those of inlines, and in what autocompletes."""
    keys = {str(key) for key in cast.values.values()}
    for model, one in admin.site._registry.items():
        request = RequestFactory().get("/")
        request.user = User.objects.get(username="stranger")
        if not one.has_add_permission(request) and not one.has_change_permission(request):
            continue
        form = one.get_form(request)
        for name, field in form.base_fields.items():
            if isinstance(field, forms.ModelChoiceField) and name not in _RIGHTS:
                assert field.queryset is not None
                offered = {str(row.pk) for row in field.queryset.all()}
                assert not offered & keys, f"{model._meta.label}.{name}"


_RIGHTS = {"groups", "user_permissions", "permissions"}


def test_filters_name_no_other_team(cast: Cast) -> None:
    for model in MODELS.values():
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        page_of_stranger = cast.pages["stranger"].get(path).content.decode()
        assert str(cast.values["team_id"]) not in page_of_stranger, path


def test_staff_bring_no_row_into_another_team(cast: Cast) -> None:
    """A rule is added or moved only to where the role allows it."""
    rule = cast.values["rule_id"]
    fields = {"name": "mine", "metric": "cpu_percent", "comparison": ">", "threshold": "1"}
    fields |= {"team": str(cast.values["team_id"]), "for_seconds": "0", "clear_margin": "0"}
    for name in ("stranger", "viewer"):
        cast.pages[name].post("/admin/alerts/alertrule/add/", fields)
        cast.pages[name].post(f"/admin/alerts/alertrule/{rule}/change/", fields)
    labels = MODELS["alerts.AlertRule"]._base_manager.values_list("name", flat=True)
    assert "mine" not in set(labels)


def test_staff_do_not_reach_the_rights_that_a_person_has_elsewhere(cast: Cast) -> None:
    """Setting the password of a member is being that member, in all teams."""
    both = User.objects.get(username="member")
    path = f"/admin/accounts/user/{both.pk}/password/"
    assert cast.pages["administrator"].get(path).status_code == 200
    factories.join(both, factories.make_team("third"))
    assert cast.pages["administrator"].get(path).status_code == 403
    assert cast.pages["superuser"].get(path).status_code == 200


# --- Filters in the address --------------------------------------------------------------------


def listed(model: Any) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def unlisted(editor: Any) -> list[str]:
    """The columns that the list neither filters by nor goes through by date."""
    filters = [one[0] if isinstance(one, tuple) else one for one in editor.list_filter]
    offered = {editor.model._meta.pk.name, editor.date_hierarchy, *filters}
    return [one.name for one in editor.model._meta.concrete_fields if one.name not in offered]


@pytest.mark.timeout(300)
def test_no_list_is_filtered_by_what_it_does_not_offer(cast: Cast) -> None:
    """Not by superusers either: what is masked is masked for all."""
    caller = RequestFactory().get("/")
    caller.user = cast.users["superuser"]
    for model, editor in admin.site._registry.items():
        assert isinstance(editor, Told), model
        assert not model._meta.related_fkey_lookups, model
        for name in unlisted(editor):
            path = f"{listed(model)}?{name}__startswith=a"
            assert cast.pages["superuser"].get(path).status_code == 400, path
            attname = model._meta.get_field(name).attname  # type: ignore[union-attr]
            for lookup in (name, attname, f"{name}__key__regex", f"{name}__pk", f"{name}__isnull"):
                assert not editor.lookup_allowed(lookup, "a", caller), f"{path} {lookup}"


SPELLING = (
    "jobs/job/?config__api_key__startswith=a",
    "jobs/job/?environment_encrypted__gt=a",
    "projects/project/?config_text__contains=x",
    "projects/project/?connection__password_encrypted__gt=a",
    "connections/connection/?password_encrypted__isnull=0",
    "connections/connection/?jump_connection__private_key_encrypted__gt=a",
    "accounts/team/?invitations__isnull=0",
    "accounts/apitoken/?digest__startswith=a",
    "accounts/user/?password__startswith=a",
    "notifications/channel/?url_encrypted__startswith=a",
    # The key of a queue is its machine.
    "jobs/machinequeue/?pk__password_encrypted__gt=a",
    "jobs/machinequeue/?connection__team__name=a",
    "jobs/job/?no_such_thing=1",
)


def test_nobody_spells_a_secret_out_of_a_list(cast: Cast) -> None:
    for path in SPELLING:
        for name in ("viewer", "administrator", "superuser"):
            status = cast.pages[name].get(f"/admin/{path}").status_code
            assert status in ({400, 403} if name == "viewer" else {400}), f"{name} {path}"


@pytest.mark.timeout(300)
def test_what_a_list_offers_still_filters_it(cast: Cast) -> None:
    for model, editor in admin.site._registry.items():
        key = cast.values[model._meta.label_lower]
        for name in ("administrator", "superuser"):
            client, queries = cast.pages[name], [f"?pk={key}", f"?{model._meta.pk.name}__in={key}"]
            shown = client.get(listed(model))
            if shown.status_code != 200:
                continue
            if editor.date_hierarchy:
                queries.append(f"?{editor.date_hierarchy}__year=2026")
            found = shown.context["cl"]
            for spec in found.filter_specs:
                queries += [choice["query_string"] for choice in spec.choices(found)][:2]
            for query in queries:
                path = f"{listed(model)}{query}"
                assert client.get(path).status_code == 200, path


# --- Members and superusers --------------------------------------------------------------------


def members_form(team: Team, *rows: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": team.name}
    initial = sum("id" in row for row in rows)
    fields |= {"memberships-TOTAL_FORMS": len(rows), "memberships-INITIAL_FORMS": initial}
    for number, row in enumerate(rows):
        fields |= {f"memberships-{number}-{name}": value for name, value in row.items()}
        fields[f"memberships-{number}-team"] = str(team.pk)
    return fields


def test_members_change_by_the_sites_services(cast: Cast) -> None:
    team = Team.objects.get(name="the team")
    boss = cast.users["administrator"]
    _, secret = invitations.create(Caller(boss), team.pk, Role.VIEWER)
    row = Membership.objects.get(team=team, user=boss)
    path = f"/admin/accounts/team/{team.pk}/change/"
    gone = {"id": row.pk, "user": boss.pk, "role": row.role, "DELETE": "on"}
    told = cast.pages["superuser"].post(path, members_form(team, gone), follow=True)
    assert "The last administrator of a team stays." in told.content.decode()
    assert Membership.objects.filter(pk=row.pk).exists()
    new = {"user": cast.users["superuser"].pk, "role": Role.ADMINISTRATOR}
    answer = cast.pages["superuser"].post(path, members_form(team, gone, new))
    assert answer.status_code == 302
    assert not Membership.objects.filter(pk=row.pk).exists()
    assert invitations.find(secret) is None


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(factories.make_user("root", is_superuser=True, is_staff=True))
    return client


def person_form(person: User, **fields: Any) -> dict[str, Any]:
    values = {"username": person.username, "is_active": "on", "is_superuser": "on"}
    values |= {"is_staff": "on", "date_joined_0": "2026-11-20", "date_joined_1": "12:00:00"}
    return {name: value for name, value in (values | fields).items() if value is not None}


@pytest.mark.parametrize("taken", ["is_active", "is_superuser"])
def test_the_last_superuser_stays_whatever_its_own_form_says(root: Client, taken: str) -> None:
    person = User.objects.get(username="root")
    path = f"/admin/accounts/user/{person.pk}/change/"
    told = root.post(path, person_form(person, **{taken: None}), follow=True).content.decode()
    assert "The last superuser stays." in told
    person.refresh_from_db()
    assert (person.is_active, person.is_superuser) == (True, True)
    factories.make_user("second", is_superuser=True)
    root.post(path, person_form(person, **{taken: None}))
    person.refresh_from_db()
    assert not (person.is_active and person.is_superuser)


def test_the_last_superusers_are_not_deleted_one_by_one_nor_together(root: Client) -> None:
    first = User.objects.get(username="root")
    second = factories.make_user("second", is_superuser=True, is_staff=True)
    fields = {"action": "delete_selected", "_selected_action": [first.pk, second.pk], "post": "yes"}
    told = root.post("/admin/accounts/user/", fields, follow=True).content.decode()
    assert "The last superuser stays." in told
    assert User.objects.filter(is_superuser=True).count() == 2
    root.post(f"/admin/accounts/user/{second.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=second.pk).exists()
    page = root.post(f"/admin/accounts/user/{first.pk}/delete/", {"post": "yes"}, follow=True)
    assert "The last superuser stays." in page.content.decode()
    assert User.objects.filter(pk=first.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_two_superusers_who_go_at_once_leave_one() -> None:
    for turn in range(3):
        people = [factories.make_user(f"root{turn}{i}", is_superuser=True) for i in range(2)]
        barrier = Barrier(2)

        def leave(person: User, barrier: Barrier = barrier) -> bool:
            try:
                barrier.wait()
                teams_services.set_active(Caller(person), person.pk, active=False)
            except Conflict:
                return False
            finally:
                connection.close()
            return True

        with ThreadPoolExecutor(2) as pool:
            gone = list(pool.map(leave, people))
        assert gone.count(True) == 1, turn
        left = User.objects.get(is_superuser=True, is_active=True)
        User.objects.filter(pk=left.pk).update(is_active=False)


# --- Passwords ---------------------------------------------------------------------------------


def passwords() -> list[tuple[str, str, str]]:
    rows = AuditEvent.objects.filter(action__startswith="password.").order_by("id")
    return [(row.actor_name, row.action, row.object_name) for row in rows]


def test_every_new_password_is_a_row_of_the_audit(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = factories.make_user("ada", is_staff=True)
    new = "a-long-Passw0rd-x"
    typed = {"password1": new, "password2": new, "usable_password": "true"}
    root.post(f"/admin/accounts/user/{ada.pk}/password/", typed)
    own = Client()
    own.post("/accounts/login/", {"login": "ada", "password": new})
    other = f"{new}-2"
    changed = {"old_password": new, "new_password1": other, "new_password2": other}
    assert own.post("/admin/password_change/", changed).status_code == 302
    own.post(
        "/accounts/password/change/", {"oldpassword": other, "password1": new, "password2": new}
    )
    monkeypatch.setattr("getpass.getpass", lambda *a, **k: f"{new}-3")
    call_command("changepassword", "ada")
    gone = {"usable_password": "false", "unset-password": "1"}
    root.post(f"/admin/accounts/user/{ada.pk}/password/", gone)
    assert passwords() == [
        ("root", "password.set", "ada"),
        ("ada", "password.change", "ada"),
        ("ada", "password.change", "ada"),
        ("dgxsite", "password.set", "ada"),
        ("root", "password.set", "ada"),
    ]
    assert new not in str(list(AuditEvent.objects.values()))


def test_what_is_no_new_password_is_no_row(db: None) -> None:
    ada = factories.make_user("ada")
    ada.first_name = "Ada"
    ada.save()
    User.objects.get(pk=ada.pk).save(update_fields=["last_login"])
    assert passwords() == []
    assert ApiToken.objects.count() == 0
