"""Forms of Django's admin that wait for names, programs and machines hold no transaction.

Posted in real transactions, where such a wait inside of one is a fault of the site.
"""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from django import forms
from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.test import Client, RequestFactory
from pytest_django import Settings

from accounts.back_office import Told
from accounts.models import AuditEvent, Team, User
from connections.models import Connection
from core.errors import Conflict
from core.web import request_turns, waiting
from notifications.models import Channel
from projects.models import Project
from tests import factories, sshd
from tests.access.cast import make_cast
from tests.connections.test_admin import form
from tests.connections.test_keys import PKCS8, SSH, pem
from tests.undone import undone

MACHINES = "/admin/connections/connection/"
CHANNELS = "/admin/notifications/channel/"
PROJECTS = "/admin/projects/project/"
NAME = "spark.example.org"
SCHEMA = '{"type": "object", "properties": {"lr": {"type": "number"}}}'
# Both are opened by a program: the first for its form, the second for its passphrase.
PEM_KEY = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048), PKCS8)
LOCKED_KEY = pem(ed25519.Ed25519PrivateKey.generate(), SSH, "pass-phrase")

in_real_transactions = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _names_without_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every name of example.org is one address for documentation."""
    ask = socket.getaddrinfo

    def answer(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        is_ours = str(host).endswith("example.org")
        return ask("192.0.2.9" if is_ours else host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def team(db: None) -> Team:
    return factories.make_team()


@pytest.fixture
def client(team: Team) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(factories.make_user("root", is_superuser=True, is_staff=True))
    return client


def channel_form(team: Team, **fields: Any) -> dict[str, Any]:
    return {"team": str(team.pk), "name": "hook", "kind": "webhook"} | fields


def project_form(machine: Connection, **fields: Any) -> dict[str, Any]:
    values = {"connection": str(machine.pk), "name": "mnist", "project_type": "training"}
    values |= {"remote_path": "~/mnist", "status": "active", "config_text": "{}"}
    return values | {"schema_text": "", "description": ""} | fields


def saved(client: Client, path: str, fields: dict[str, Any]) -> None:
    """Post it; it was stored, and Django's own log has its line."""
    before = LogEntry.objects.count()
    answer = client.post(path, fields)
    assert answer.status_code == 302, answer.content.decode()
    assert answer["Location"] != path  # where a refusal leads
    assert LogEntry.objects.count() == before + 1
    entry = LogEntry.objects.latest("pk")
    assert entry.action_flag == (ADDITION if path.endswith("/add/") else CHANGE)


# --- One by one, with what makes each wait -------------------------------------------------------


KEY = {"auth_method": "key", "password": ""}


@in_real_transactions
def test_machines(client: Client, team: Team) -> None:
    cases = {
        "name": {"hostname": NAME},
        "generated": KEY | {"hostname": NAME, "generate_key": "on"},
        "pem": KEY | {"private_key": PEM_KEY},
        "locked": KEY | {"private_key": LOCKED_KEY, "passphrase": "pass-phrase"},
    }
    for case, sent in cases.items():
        saved(client, f"{MACHINES}add/", form(team, **sent, name=case))
        row = Connection.objects.get(name=case)
        assert row.hostname == sent.get("hostname", "192.0.2.7")
        other = factories.make_connection(team)
        saved(client, f"{MACHINES}{other.pk}/change/", form(team, **sent, name=f"{case} 2"))
        other.refresh_from_db()
        assert (other.name, bool(other.public_key)) == (f"{case} 2", "auth_method" in sent)
        assert (other.secret("private_key") is not None) == ("auth_method" in sent)


@in_real_transactions
def test_channels(client: Client, team: Team) -> None:
    cases = [
        ("webhook", f"https://{NAME}/hook"),
        ("apprise", "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"),
        ("apprise", f"ntfys://{NAME}/topic"),
    ]
    for number, (kind, url) in enumerate(cases):
        first, second = f"hook {number}", f"changed {number}"
        saved(client, f"{CHANNELS}add/", channel_form(team, kind=kind, url=url, name=first))
        row = Channel.objects.get(name=first)
        assert (row.kind, row.secret("url")) == (kind, url)
        other = channel_form(team, kind=kind, url=f"{url}2", name=second)
        saved(client, f"{CHANNELS}{row.pk}/change/", other)
        row.refresh_from_db()
        assert (row.name, row.secret("url")) == (second, f"{url}2")


@in_real_transactions
def test_a_project_with_a_schema(client: Client, team: Team) -> None:
    machine = factories.make_connection(team, reason="unreachable")
    sent = project_form(machine, schema_text=SCHEMA, config_text='{"lr": 1}')
    saved(client, f"{PROJECTS}add/", sent)
    row = Project.objects.get()
    assert row.schema_text == SCHEMA
    saved(client, f"{PROJECTS}{row.pk}/change/", sent | {"config_text": '{"lr": 2}'})
    wrong = sent | {"config_text": '{"lr": "much"}'}
    answer = client.post(f"{PROJECTS}{row.pk}/change/", wrong)
    assert (answer.status_code, b"is not of type" in answer.content) == (200, True)
    row.refresh_from_db()
    assert row.config_text == '{"lr": 2}'


@in_real_transactions
def test_a_projects_folder_on_a_machine(
    client: Client, team: Team, tmp_path: Path, settings: Settings
) -> None:
    settings.ALLOW_LOOPBACK = True
    home = tmp_path / "home"
    home.mkdir()
    server = sshd.start(tmp_path / "sshd", options={"Subsystem": f"sftp internal-sftp -d {home}"})
    try:
        machine = factories.make_connection(
            team, hostname="127.0.0.1", port=server.port, username=server.user, auth_method="key"
        )
        machine.host_key = server.host_key_fingerprint
        machine.set_secret("private_key", server.client_key)
        machine.save()
        saved(client, f"{PROJECTS}add/", project_form(machine, make_folder="on"))
        row = Project.objects.get()
        assert row.resolved_path == str(home / "mnist")
        (home / "second").mkdir()
        moved = project_form(machine, remote_path="~/second")
        saved(client, f"{PROJECTS}{row.pk}/change/", moved)
        row.refresh_from_db()
        assert row.resolved_path == str(home / "second")
        answer = client.post(f"{PROJECTS}{row.pk}/change/", moved | {"remote_path": "~/nowhere"})
        row.refresh_from_db()
        assert (answer.status_code, row.remote_path) == (200, "~/second")
    finally:
        server.stop()


# --- What is refused, and who is not let in ------------------------------------------------------


@in_real_transactions
def test_what_a_service_refuses_leaves_nothing(
    client: Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it refuses at the last moment, when rows were written before."""
    saved(client, f"{MACHINES}add/", form(team))
    row = Connection.objects.get()
    before = rows_of(row)
    asked = []

    def refuse(*args: Any) -> None:
        asked.append(AuditEvent.objects.count())
        raise Conflict("Somebody was faster.")

    monkeypatch.setattr("connections.credentials.server_keys.open_to_team", refuse)
    path = f"{MACHINES}{row.pk}/change/"
    changed = {"auth_method": "key", "password": "", "private_key": PEM_KEY, "hostname": NAME}
    for target in (f"{MACHINES}add/", path):
        answer = client.post(target, form(team, **changed, name="second"), follow=True)
        assert answer.redirect_chain == [(target, 302)]
        assert "Somebody was faster." in answer.content.decode()
    assert asked == [before[0] + 1] * 2  # each had written its line of the trail
    assert rows_of(row) == before


def rows_of(row: Connection) -> tuple[Any, ...]:
    stored = Connection.objects.filter(pk=row.pk).values().get()
    counts = AuditEvent.objects.count(), LogEntry.objects.count(), Connection.objects.count()
    return (*counts, stored)


@in_real_transactions
def test_a_second_row_of_one_name_is_told(client: Client, team: Team) -> None:
    """A conflict that the database finds, below the form's own look."""
    saved(client, f"{MACHINES}add/", form(team, hostname=NAME))
    answer = client.post(f"{MACHINES}add/", form(team, hostname=NAME), follow=True)
    assert answer.status_code == 200
    assert "of this name" in answer.content.decode() or "already" in answer.content.decode()
    assert (Connection.objects.count(), LogEntry.objects.count()) == (1, 1)


def test_forms_without_the_token_of_csrf_are_refused(client: Client, team: Team) -> None:
    """By the site, and by the view itself, as in Django's own."""
    root = User.objects.get(username="root")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(root)
    assert strict.post(f"{MACHINES}add/", form(team)).status_code == 403
    editor = admin.site._registry[Connection]
    request = RequestFactory().post(f"{MACHINES}add/", form(team))
    request.user, request.session = root, SessionStore()
    assert editor.changeform_view(request).status_code == 403
    assert not Connection.objects.exists()
    token = get_token(request)
    strict.cookies["csrftoken"] = token
    answer = strict.post(f"{MACHINES}add/", form(team) | {"csrfmiddlewaretoken": token})
    assert answer.status_code == 302


# --- And the next one ----------------------------------------------------------------------------

# Each of them makes some field wait: a name, an address, a key, a schema, a folder.
PROVOCATIONS = (NAME, f"https://{NAME}/x", PEM_KEY, SCHEMA, "~/elsewhere")


class Waits(Exception):
    """In place of the wait, which would take its time."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each wait outside the database in this thread, whether a transaction was open."""
    seen: list[bool] = []
    thread = threading.current_thread()

    def note() -> AbstractContextManager[None]:
        if threading.current_thread() is not thread:  # mail, that leaves after the answer
            return nullcontext()
        blocks: list[Any] = connection.atomic_blocks
        seen.append(not all(block._from_testcase for block in blocks))
        raise Waits

    def show(editor: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        is_sent = request.method == "POST"  # whose page would say what is wrong, and is not read
        return HttpResponse() if is_sent else render(editor, request, *args, **kwargs)

    render = admin.ModelAdmin.render_change_form
    monkeypatch.setattr(admin.ModelAdmin, "render_change_form", show)
    monkeypatch.setattr(waiting, "give_back", lambda: None)
    monkeypatch.setattr(request_turns, "paused", note)
    return seen


@pytest.mark.timeout(480)
def test_every_admin_that_waits_says_so(
    db: None, waits: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    """Every field of every form by itself with every provocation, on a row that is in order.

    Finds what one field alone brings about; what two together do is for a test of its own.
    """
    caplog.set_level(logging.CRITICAL)
    cast = make_cast()
    client = cast.pages["superuser"]
    found: dict[str, bool] = {}
    for model in admin.site._registry:
        app, name, label = model._meta.app_label, model._meta.model_name, model._meta.label
        key = cast.values[f"{app}.{name}"]
        for path in (f"/admin/{app}/{name}/add/", f"/admin/{app}/{name}/{key}/change/"):
            for fields in provoking(client, path):
                with undone():
                    cache.clear()
                    client.post(path, fields)
            assert not any(waits), f"{path} waits in a transaction; see Told.waits_outside"
            found[label] = found.get(label, False) or bool(waits)
            waits.clear()
    assert {label for label, has_waited in found.items() if has_waited} == saying_so()


def saying_so() -> set[str]:
    return {
        model._meta.label
        for model, editor in admin.site._registry.items()
        if isinstance(editor, Told) and editor.waits_outside
    }


def provoking(client: Client, path: str) -> Iterator[dict[str, Any]]:
    """What the form would send back as it is, and then with one field changed at a time."""
    answer = client.get(path)
    if answer.status_code != 200 or b'name="_save"' not in answer.content:
        return
    filled = answer.context["adminform"].form
    base = {name: plain(filled, name, field) for name, field in filled.fields.items()}
    base = {name: value for name, value in base.items() if value not in (None, "", False)}
    for one in answer.context["inline_admin_formsets"]:
        prefix = one.formset.prefix
        base |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    yield base
    for name, field in filled.fields.items():
        if isinstance(field, forms.BooleanField):
            yield base | {name: "on"}
        elif isinstance(field, (forms.CharField, forms.JSONField)):
            for text in PROVOCATIONS:
                yield base | {name: text}


def plain(filled: Any, name: str, field: forms.Field) -> Any:
    """What stands in the field; where it has to be filled in, something that may stand there."""
    value = filled[name].value()
    if value not in (None, "", []):
        return value
    if not field.required:
        return None
    if isinstance(field, forms.ModelChoiceField):
        first = field.queryset.first() if field.queryset is not None else None
        return first and str(first.pk)
    if isinstance(field, forms.ChoiceField):
        offered: Any = field.choices
        return next((value for value, _ in offered if value), None)
    return "1" if isinstance(field, forms.IntegerField) else "thing"


@pytest.mark.parametrize("label", sorted(saying_so()))
def test_a_new_one_would_be_seen(
    db: None, waits: list[bool], caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, label: str,
) -> None:  # fmt: skip
    """Each of those that say so, had it not said so."""
    caplog.set_level(logging.CRITICAL)
    cast = make_cast()
    editor = next(one for one in admin.site._registry.values() if one.model._meta.label == label)
    monkeypatch.setattr(editor, "waits_outside", False)
    path = f"/admin/{label.lower().replace('.', '/')}/{cast.values[label.lower()]}/change/"
    for fields in provoking(cast.pages["superuser"], path):
        with undone():
            cast.pages["superuser"].post(path, fields)
        if waits:
            break
    assert waits == [True]


def test_no_form_outside_a_transaction_writes_by_itself() -> None:
    """Without one, inlines and choices of several rows would be stored apart from their row."""
    editors = {model._meta.label: editor for model, editor in admin.site._registry.items()}
    for label in saying_so():
        editor = editors[label]
        assert not editor.inlines, label
        several = {field.name for field in editor.model._meta.many_to_many}
        assert not several & set(editor.form.base_fields), label
