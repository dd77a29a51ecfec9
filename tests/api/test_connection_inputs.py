"""Odd inputs about machines, and secrets that only go in."""

from typing import Any

import pytest
from django.conf import settings

from accounts.models import AuditEvent
from connections.credentials import keys
from connections.models import Connection, ConnectionEvent
from tests.api.client import fields_of
from tests.api.conftest import World
from tests.api.machines import FINGERPRINT, body, with_password

# --- Odd inputs ----------------------------------------------------------------------------------

BAD_FIELDS: list[tuple[str, Any]] = [
    ("hostname", "-oProxyCommand=touch x"),
    ("username", "-oProxyCommand=touch x"),
    ("username", "$(id)"),
    ("username", "`id`"),
    ("username", "ml\n"),
    ("username", "ml\rx"),
    ("username", "ml\x00"),
    ("username", "Ml"),
    ("username", "a" * 65),
    ("username", ""),
    ("port", 0),
    ("port", -1),
    ("port", 65536),
    ("port", 22.5),
    ("port", "22"),
    ("port", 1e3),
    ("port", True),
    ("port", None),
    ("ollama_port", "11434"),
    ("hostname", ""),
    ("hostname", "a" * 300),
    ("hostname", "a" * 64 + ".example"),
    ("hostname", ".".join(["a" * 60] * 5)),
    ("hostname", "spark."),
    ("hostname", "ml@spark"),
    ("hostname", "ssh://spark"),
    ("hostname", "spark:22"),
    ("hostname", "[::1]"),
    ("hostname", "two words"),
    ("hostname", "spark\n"),
    ("hostname", "a..b"),
    ("name", "😀" * 10_000),
    ("name", "   "),
    ("name", ""),
    ("name", "a\x07b"),
    ("name", "a\nb"),
    ("name", "\u202egpj.exe"),
    ("name", None),
    ("name", 7),
    ("tags", "lab"),
    ("tags", [""]),
    ("tags", ["a\nb"]),
    ("tags", ["x"] * 21),
    ("auth_method", "none"),
    ("transport", "telnet"),
    ("auto_connect", 1),
    ("auto_connect", "yes"),
    ("host_key", "SHA256:short"),
    ("host_key", "ssh-ed25519 AAAA"),
    ("host_key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5│AAAA"),
    ("host_key", "ssh-dss AAAAB3NzaC1kc3M="),
    ("password", ""),
    ("password", "a\x00b"),
    ("password", "x" * 2000),
    ("jump_connection_id", "7"),
    ("team_id", 7),
    ("is_staff", True),
    ("owner_id", 1),
    ("status", "connected"),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS)
def test_bad_field_is_refused_and_nothing_stored(world: World, field: str, value: Any) -> None:
    answer = world.admin.post("/connections", body(**{field: value}))
    assert answer.status_code == 422, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    # A NUL is no text at all, so the body is refused before its fields are looked at.
    assert field in {name.split(".")[0] for name in fields_of(answer)} or "\x00" in str(value)
    assert Connection.objects.count() == 1


@pytest.mark.parametrize("missing", ["name", "hostname", "username", "password"])
def test_missing_field_is_named(world: World, missing: str) -> None:
    answer = world.admin.post("/connections", body(**{missing: ...}))
    assert (answer.status_code, fields_of(answer)) == (422, {missing})


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "{{7*7}}", "%s%n", "é—漢字", "👩‍💻"])
def test_names_are_just_text(world: World, name: str) -> None:
    assert world.admin.post("/connections", body(name=name)).json()["name"] == name


def test_a_huge_integer_is_no_port(world: World) -> None:
    text = '{"name":"x","hostname":"192.0.2.7","username":"ml","port":1' + "0" * 400 + "}"
    assert world.admin.raw("/connections", text.encode()).status_code == 422


REFUSED_HOSTS = [
    "127.0.0.1", "localhost", "::1", "0.0.0.0", "127.1", "2130706433", "0x7f000001", "0",
    "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1",
    "255.255.255.255", "::", "0.1.2.3", "100.100.100.200", "fd00:ec2::254", "64:ff9b::7f00:1",
    "2002:7f00:1::", "::127.0.0.1", "240.0.0.1", "127.0.0.1.", "LOCALHOST", "0177.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("hostname", REFUSED_HOSTS)
def test_refused_addresses_are_refused_at_once(world: World, hostname: str) -> None:
    for answer in (
        world.admin.post("/connections", body(hostname=hostname)),
        world.admin.post("/connections/test", body(hostname=hostname)),
        world.admin.patch(f"/connections/{with_password(world).pk}", {"hostname": hostname}),
    ):
        assert (answer.status_code, fields_of(answer)) == (422, {"hostname"}), hostname


@pytest.mark.parametrize("hostname", ["10.0.0.5", "192.168.1.20", "172.16.3.4", "fd12::5"])
def test_private_networks_are_where_the_machines_are(world: World, hostname: str) -> None:
    assert world.admin.post("/connections", body(hostname=hostname)).status_code == 201


def test_a_foreign_alphabet_is_shown_as_what_it_is(world: World) -> None:
    answer = world.admin.post("/connections", body(hostname="dg\u0445.invalid"))
    assert answer.json()["hostname"] == "xn--dg-1mc.invalid"


@pytest.mark.parametrize(
    "given",
    [
        {"auth_method": "key"},
        {"auth_method": "key", "private_key": ""},
        {"auth_method": "key", "private_key": "garbage"},
        {"auth_method": "key", "private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"},
        {"auth_method": "key", "passphrase": "alone"},
        {"auth_method": "key", "ssh_key_path": "/etc/passwd"},
        {"auth_method": "key", "ssh_key_path": "../../etc/passwd"},
        {"auth_method": "key", "ssh_key_path": "not-there"},
        {"auth_method": "key", "ssh_key_path": "id", "generate_key": True},
    ],
)
def test_unusable_and_missing_keys_are_refused(world: World, given: dict[str, Any]) -> None:
    answer = world.admin.post("/connections", body(password=...) | given)
    assert answer.status_code == 422, answer.content
    assert fields_of(answer) & {
        "private_key", "passphrase", "ssh_key_path", "generate_key"
    }  # fmt: skip
    assert Connection.objects.count() == 1


def test_ten_megabytes_of_key_are_too_large(world: World) -> None:
    answer = world.admin.post("/connections", body(private_key="x" * 10_000_000))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("fingerprint", ["", "SHA256:", "MD5:aa:bb", FINGERPRINT + "A", None, 1])
def test_only_a_fingerprint_is_accepted_as_host_key(world: World, fingerprint: Any) -> None:
    answer = world.admin.post(
        f"/connections/{world.machine.pk}/host-key", {"fingerprint": fingerprint}
    )
    assert (answer.status_code, fields_of(answer)) == (422, {"fingerprint"})


# --- Secrets -------------------------------------------------------------------------------------


def test_secrets_are_in_no_answer_no_log_and_no_clear_column(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    private, _ = keys.generate()
    canaries = ["pass-canary-1", private.splitlines()[2]]
    created = world.admin.post("/connections", body(password="pass-canary-1", private_key=private))
    row_id = created.json()["id"]
    seen = [created.content.decode()]
    for path in (f"/connections/{row_id}", "/connections", f"/connections/{row_id}/events"):
        seen.append(world.admin.get(path).content.decode())
    wrong = world.admin.post("/connections", body(name="x", passphrase="pass-canary-1", port="x"))
    seen.append(wrong.content.decode())
    seen.append(world.superuser.get("/audit").content.decode())
    seen.append(caplog.text)
    seen.append(str(list(Connection.objects.values())) + str(list(AuditEvent.objects.values())))
    seen.append(str(list(ConnectionEvent.objects.values())))
    assert created.status_code == 201
    for canary in canaries:
        assert all(canary not in text for text in seen)


def test_a_ciphertext_does_not_open_in_another_row(world: World) -> None:
    from core.security.crypto import SecretUnreadable

    row = with_password(world)
    Connection.objects.filter(pk=world.machine.pk).update(password_encrypted=row.password_encrypted)
    with pytest.raises(SecretUnreadable):
        Connection.objects.get(pk=world.machine.pk).secret("password")


def test_own_database_and_redis_are_refused(world: World, monkeypatch: Any) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", "192.0.2.9")
    monkeypatch.setitem(settings.DATABASES["default"], "PORT", "5432")
    monkeypatch.setattr(settings, "REDIS_URL", "redis://192.0.2.9:6379/0")
    for port, status in ((5432, 422), (6379, 422), (22, 201)):
        answer = world.admin.post("/connections", body(hostname="192.0.2.9", port=port))
        assert answer.status_code == status
