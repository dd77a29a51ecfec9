"""Django's admin: complete, in the site's colours, and without a way around the rules."""

import re
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import AuditEvent
from tests import factories

ROOT = Path(__file__).resolve().parents[2]
# What somebody looks after; the rest belongs to a machine's page or to the site itself.
_MANAGED = {
    *("accounts.User", "accounts.Team", "accounts.ApiToken", "accounts.AuditEvent"),
    *("connections.Connection", "connections.Keeper"),
    "metrics.Retention",
    *("notifications.Channel", "notifications.Event", "notifications.Delivery"),
}


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(factories.make_user(is_superuser=True, is_staff=True))
    return client


def test_everything_that_is_managed_is_there() -> None:
    registered = {model._meta.label for model in admin.site._registry}
    assert registered >= _MANAGED


@pytest.mark.parametrize("app", ["mfa", "socialaccount", "usersessions", "django_celery_beat"])
def test_other_packages_bring_no_door_of_their_own(client: Client, app: str) -> None:
    assert not [model for model in admin.site._registry if model._meta.app_label == app]
    assert client.get(f"/admin/{app}/").status_code == 404


def test_start_page_says_how_the_parts_are(client: Client, redis_client: object) -> None:
    page = client.get("/admin/").content.decode()
    told = dict(re.findall(r"<dt>(\w+)</dt>\s*<dd class=\"[\w-]+\">\s*(.+?)\s*</dd>", page))
    assert set(told) == {"database", "redis", "keeper", "worker", "beat"}
    assert (told["database"], told["redis"]) == ("ok", "ok")
    assert told["keeper"] == "No keeper is running."


def test_pages_have_the_sites_colours_and_nothing_to_toggle(client: Client) -> None:
    page = client.get("/admin/accounts/team/").content.decode()
    assert "css/admin.css" in page
    assert "dark_mode.css" not in page
    assert "theme-toggle" not in page


def test_colours_are_those_of_the_site() -> None:
    known = colours("site.css")
    used = variables("admin.css")
    assert used["--body-bg"] == variables("site.css")["--bg-primary"]
    assert used["--header-bg"] == variables("site.css")["--bg-deep"]
    assert used["--button-bg"] == variables("site.css")["--accent"]
    assert used["--error-fg"] in known


def variables(name: str) -> dict[str, str]:
    text = (ROOT / "static" / "css" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^\s+(--[\w-]+): (#[0-9a-f]{6});", text, re.MULTILINE))


def colours(name: str) -> set[str]:
    return set(variables(name).values())


@pytest.fixture
def staff(db: None) -> Client:
    """Somebody who may look after people, and is no superuser."""
    user = factories.make_user("staff", is_staff=True)
    names = ("view_user", "change_user", "delete_user")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def test_staff_look_after_people_and_give_no_rights(staff: Client) -> None:
    person = factories.make_user("person")
    path = f"/admin/accounts/user/{person.pk}/change/"
    page = staff.get(path)
    assert page.status_code == 200
    assert 'name="is_superuser"' not in page.content.decode()
    fields = {"username": "renamed", "is_active": "on", "is_superuser": "on", "is_staff": "on"}
    joined = {"date_joined_0": "2026-11-20", "date_joined_1": "12:00:00"}
    assert staff.post(path, fields | joined).status_code == 302
    person.refresh_from_db()
    assert (person.username, person.is_superuser, person.is_staff) == ("renamed", False, False)


@pytest.mark.parametrize("above", [{"is_superuser": True}, {"is_staff": True}])
def test_staff_do_not_reach_up(staff: Client, above: dict[str, bool]) -> None:
    boss = factories.make_user("boss", **above)
    path = f"/admin/accounts/user/{boss.pk}"
    assert staff.post(f"{path}/change/", {"username": "renamed"}).status_code == 403
    assert staff.get(f"{path}/password/").status_code == 403
    assert staff.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    picked = {"action": "delete_selected", "_selected_action": str(boss.pk), "post": "yes"}
    staff.post("/admin/accounts/user/", picked)
    boss.refresh_from_db()
    assert boss.username == "boss"


def test_audit_rows_are_only_read(client: Client) -> None:
    row = AuditEvent.objects.create(actor_name="x", action="y")
    assert client.get(f"/admin/accounts/auditevent/{row.pk}/change/").status_code == 200
    for path in ("add/", f"{row.pk}/delete/"):
        assert client.post(f"/admin/accounts/auditevent/{path}").status_code == 403
    page = client.post(f"/admin/accounts/auditevent/{row.pk}/change/", {"action": "z"})
    assert page.status_code == 403
    assert AuditEvent.objects.get(pk=row.pk).action == "y"


def test_no_admin_offers_a_field_that_holds_a_secret() -> None:
    secret = re.compile(r"_encrypted$|^digest$|^secret_hash$")
    shown = [
        f"{model._meta.label}.{field.name}"
        for model, editor in admin.site._registry.items()
        for field in model._meta.get_fields()
        if secret.search(field.name) and field.name in _named_by(editor)
    ]
    assert shown == []


def _named_by(editor: "admin.ModelAdmin[object]") -> set[str]:  # type: ignore[type-var]
    listed = [
        editor.list_display,
        editor.readonly_fields,
        editor.fields or (),
        editor.search_fields,
    ]
    return {str(name) for names in listed for name in names}
