"""The form for machines, as a browser without JavaScript sends it."""

import socket
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import AuditEvent
from connections.models import Connection, Transport
from tests import factories
from tests.pages.people import People


def private_key() -> str:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return pem.decode()


def filled(**fields: Any) -> dict[str, Any]:
    values = {
        "name": "Spark 9",
        "hostname": "192.0.2.9",
        "port": "22",
        "username": "ml",
        "auth_method": "key",
        "key_source": "generate",
        "ollama_port": "11434",
        "auto_connect": "on",
        "tags": "lab, inference",
    }
    return values | fields


def stored() -> Connection:
    return Connection.objects.get(name="Spark 9")


def test_new_machine_gets_a_key_of_its_own(people: People) -> None:
    answer = people.boss.post("/machines/add", filled())
    row = stored()
    assert answer.headers["Location"] == f"/machines/{row.pk}/?tab=connection"
    assert row.public_key.startswith("ssh-ed25519 ")
    assert row.tags == ["lab", "inference"]
    assert row.is_active
    assert AuditEvent.objects.filter(action="connection.create", object_id=row.pk).exists()


def test_key_may_be_pasted(people: People) -> None:
    people.boss.post("/machines/add", filled(key_source="paste", private_key=private_key()))
    assert stored().secret("private_key")


def test_key_may_be_uploaded(people: People) -> None:
    file = SimpleUploadedFile("id_ed25519", private_key().encode())
    people.boss.post("/machines/add", filled(key_source="upload", private_key_file=file))
    assert stored().secret("private_key")


def test_password_is_kept_encrypted(people: People) -> None:
    people.boss.post("/machines/add", filled(auth_method="password", password="s3cret-word"))
    row = stored()
    assert row.secret("password") == "s3cret-word"
    assert "s3cret-word" not in row.password_encrypted


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "\u202e"}, "name"),
        ({"hostname": ""}, "hostname"),
        ({"hostname": "-oProxyCommand=touch x"}, "hostname"),
        ({"hostname": "127.0.0.1"}, "hostname"),
        ({"hostname": "http://h"}, "hostname"),
        ({"port": "0"}, "port"),
        ({"port": "1e3"}, "port"),
        ({"username": "$(id)"}, "username"),
        ({"username": ""}, "username"),
        ({"auth_method": "password"}, "password"),
        ({"auth_method": "telepathy"}, "auth_method"),
        ({"key_source": "paste"}, "private_key"),
        ({"key_source": "paste", "private_key": "nonsense"}, "private_key"),
        ({"key_source": "path", "ssh_key_path": "/etc/passwd"}, "ssh_key_path"),
        ({"host_key": "nonsense"}, "host_key"),
        ({"jump_connection_id": "nonsense"}, "jump_connection_id"),
        ({"team_id": "nonsense"}, "team_id"),
        ({"tags": "x" * 60}, "tags"),
    ],
)
def test_each_wrong_field_is_named_and_nothing_is_stored(
    people: People, fields: dict[str, str], field: str
) -> None:
    answer = people.boss.post("/machines/add", filled(**fields))
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert Connection.objects.count() == 0


def test_wrong_upload_is_blamed_on_the_file(people: People) -> None:
    file = SimpleUploadedFile("id_ed25519", b"\xff\x00 nonsense")
    answer = people.boss.post("/machines/add", filled(key_source="upload", private_key_file=file))
    assert "private_key_file" in answer.context["form"].errors


def test_typed_secrets_are_not_sent_back(people: People) -> None:
    answer = people.boss.post(
        "/machines/add",
        filled(
            hostname="",
            key_source="paste",
            private_key="canary-key",
            passphrase="canary-phrase",
            password="canary-word",
        ),
    )
    assert answer.status_code == 422
    assert "canary" not in answer.content.decode()


def test_second_machine_of_a_name_is_told_at_the_name(people: People) -> None:
    factories.make_connection(people.team, name="Spark 9")
    answer = people.boss.post("/machines/add", filled())
    assert "name" in answer.context["form"].errors


def test_htmx_gets_the_errors_alone(people: People) -> None:
    answer = people.boss.post("/machines/add", filled(hostname=""), headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'id="hostname-error" hx-swap-oob="true"' in page
    assert "<form" not in page


def test_htmx_is_sent_to_the_new_machine(people: People) -> None:
    answer = people.boss.post("/machines/add", filled(), headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == f"/machines/{stored().pk}/?tab=connection"


def test_edit_keeps_the_stored_key_and_asks_for_nothing_again(people: People) -> None:
    people.boss.post("/machines/add", filled())
    before = stored()
    page = people.boss.get(f"/machines/{before.pk}/edit").content.decode()
    assert 'value="192.0.2.9"' in page
    fields = filled(key_source="keep", hostname="192.0.2.10", team_id=str(people.team.pk))
    answer = people.boss.post(f"/machines/{before.pk}/edit", fields)
    after = stored()
    assert answer.status_code == 302
    assert after.hostname == "192.0.2.10"
    assert after.private_key_encrypted == before.private_key_encrypted


def test_edit_of_the_sites_own_machine_asks_only_what_it_has(people: People) -> None:
    row = factories.make_connection(
        people.team, name="here", transport=Transport.LOCAL, hostname="", username=""
    )
    fields = {"name": "the site", "ollama_port": "11434", "tags": ""}
    superuser = factories.make_user(is_superuser=True)
    people.boss.force_login(superuser)
    answer = people.boss.post(f"/machines/{row.pk}/edit", fields)
    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.name, row.auto_connect) == ("the site", False)


def test_jump_hosts_and_teams_of_others_are_not_offered(people: People) -> None:
    factories.make_connection(people.team, name="ours")
    theirs = factories.make_connection(name="theirs")
    page = people.boss.get("/machines/add").content.decode()
    assert "ours" in page
    assert "theirs" not in page
    answer = people.boss.post("/machines/add", filled(jump_connection_id=str(theirs.pk)))
    assert "jump_connection_id" in answer.context["form"].errors


def test_test_names_the_step_that_fails_and_stores_nothing(
    people: People, settings: Any, unused_port: int
) -> None:
    settings.ALLOW_LOOPBACK = True
    answer = people.boss.post("/machines/test", filled(hostname="127.0.0.1", port=str(unused_port)))
    steps = {step["name"]: step for step in answer.context["outcome"]["steps"]}
    assert steps["resolve"]["ok"]
    assert not steps["tcp"]["ok"]
    assert steps["tcp"]["hint"]
    assert "It does not work yet." in answer.content.decode()
    assert Connection.objects.count() == 0


def test_test_of_a_stored_machine_shows_its_steps(
    people: People, settings: Any, unused_port: int
) -> None:
    settings.ALLOW_LOOPBACK = True
    row = factories.make_connection(people.team, hostname="127.0.0.1", port=unused_port)
    for headers in ({}, {"HX-Request": "true"}):
        page = people.boss.post(f"/machines/{row.pk}/test", headers=headers).content.decode()
        assert "<b>Name</b>" in page
        assert "<b>Port</b>" in page
    assert (
        "Your role does not allow this"
        in people.guest.post(f"/machines/{row.pk}/test").content.decode()
    )


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
