"""Encryption keys are exchanged while the site runs."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from accounts.auth.mfa import SecondFactors
from accounts.models import IdempotentAnswer
from connections.credentials import places
from connections.models import Connection
from core.security import crypto, key_rotation
from core.security.crypto import SecretUnreadable
from jobs.models import Job
from notifications.models import Channel
from tests import factories
from tests.jobs.rows import make_job, make_project
from tests.product import PACKAGES, ROOT

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def machine(password: str) -> Connection:
    row = factories.make_connection(auth_method="password")
    row.set_secret("password", password)
    row.set_secret("private_key", f"key of {password}")
    row.save()
    return row


def rotate() -> str:
    out = StringIO()
    call_command("rotate_keys", stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_after_rotation_the_old_key_is_not_needed(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    rows = [machine("one"), machine("two")]
    Connection.objects.filter(pk=rows[1].pk).update(deleted_at="2026-01-01T00:00Z")
    stamps = list(Connection.objects.order_by("pk").values_list("updated_at", flat=True))
    user = factories.make_user()
    IdempotentAnswer.objects.create(user=user, path="/", key="k", body_digest="d", status=201)
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert rotate() == "4 secrets rotated, 1 kept answers dropped\n"
    settings.ENCRYPTION_KEYS = [NEW]
    for row, password in zip(rows, ("one", "two"), strict=True):
        assert Connection.objects.get(pk=row.pk).secret("password") == password
    assert stamps == list(Connection.objects.order_by("pk").values_list("updated_at", flat=True))
    settings.ENCRYPTION_KEYS = [OLD]
    with pytest.raises(SecretUnreadable):
        Connection.objects.get(pk=rows[0].pk).secret("password")


@pytest.mark.django_db
def test_what_no_key_opens_is_told_and_left_alone(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    lost = machine("lost")
    settings.ENCRYPTION_KEYS = [NEW]
    fine = machine("fine")
    with pytest.raises(CommandError, match="1 machines"):
        rotate()
    assert Connection.objects.get(pk=fine.pk).secret("password") == "fine"
    assert Connection.objects.get(pk=lost.pk).password_encrypted == lost.password_encrypted


@pytest.mark.django_db(transaction=True)
def test_a_change_during_rotation_is_not_lost(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    rows = [machine(f"before-{n}") for n in range(30)]
    failures: list[Exception] = []

    def change() -> None:
        try:
            for row in rows:
                row.set_secret("password", "after")
                row.save(update_fields=["password_encrypted"])
        except DatabaseError as error:
            failures.append(error)
        finally:
            connection.close()

    writer = threading.Thread(target=change)
    writer.start()
    rotate()
    writer.join()
    assert not failures
    passwords = {row.secret("password") for row in Connection.objects.all()}
    assert passwords == {"after"}


@pytest.mark.django_db
def test_one_secret_that_no_key_opens_stops_neither_its_row_nor_others(settings: Any) -> None:
    """Each kind of row, each of its secrets; what stays shut is named by model, id and field."""
    settings.ENCRYPTION_KEYS = [OLD]
    rows = [machine("first"), machine("second"), machine("third")]
    team = rows[0].team
    channel = Channel(team=team, name="hook", kind="webhook", shown_url="http://192.0.2.9")
    for name in Channel.encrypted_names():
        channel.set_secret(name, f"http://192.0.2.9/{name}")
    channel.save()
    jobs = [make_job(make_project(rows[0]), environment={"A": str(number)}) for number in range(2)]
    nonsense = "gAAAAA-no-key-opens-this"
    for row in rows[:2]:
        Connection.objects.filter(pk=row.pk).update(private_key_encrypted=nonsense)
    Channel.objects.update(url_encrypted=nonsense)
    Job.objects.filter(pk=jobs[0].pk).update(environment_encrypted=nonsense)
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    with pytest.raises(CommandError) as told:
        rotate()
    assert set(str(told.value).splitlines()[1:]) == {
        f"connections.connection {rows[0].pk} private_key",
        f"connections.connection {rows[1].pk} private_key",
        f"notifications.channel {channel.pk} url",
        f"jobs.job {jobs[0].pk} environment",
    }
    assert told.value.returncode == 1
    settings.ENCRYPTION_KEYS = [NEW]
    for row, password in zip(rows, ("first", "second", "third"), strict=True):
        assert Connection.objects.get(pk=row.pk).secret("password") == password
    assert Connection.objects.get(pk=rows[2].pk).secret("private_key") == "key of third"
    assert Channel.objects.get().secret("secret") == "http://192.0.2.9/secret"
    assert Job.objects.get(pk=jobs[1].pk).environment == {"A": "1"}


@pytest.mark.django_db(transaction=True)
def test_the_command_ends_with_status_1_when_a_secret_stays_shut() -> None:
    """As an operator runs it: what a key opens is under the new one, the rest is named."""
    row = machine("first")
    seed = Authenticator.objects.create(
        user=factories.make_user(), type="totp", data={"secret": SecondFactors().encrypt("JBSWY3D")}
    )
    Connection.objects.filter(pk=row.pk).update(private_key_encrypted="gAAAAA-no-key-opens-this")
    ended = run_command([NEW, *settings.ENCRYPTION_KEYS])
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.splitlines()[-1] == f"connections.connection {row.pk} private_key"
    assert "1 machines" in ended.stderr
    assert ended.stdout == "2 secrets rotated, 0 kept answers dropped\n"
    Connection.objects.filter(pk=row.pk).update(private_key_encrypted="")
    fine = run_command([NEW])
    assert (fine.returncode, fine.stderr) == (0, "")
    assert Authenticator.objects.get().data["secret"] != seed.data["secret"]


def run_command(keys: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    database = connection.settings_dict
    address = f"postgresql:///{database['NAME']}?host={database['HOST']}&user=postgres"
    variables = {"DATABASE_URL": address, "DGX_ENCRYPTION_KEYS": ",".join(keys)}
    return subprocess.run(
        [sys.executable, "manage.py", "rotate_keys"],
        cwd=ROOT,
        env=os.environ | variables | {"DJANGO_SETTINGS_MODULE": "dgxsite.settings"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_encrypted_column_is_rotated() -> None:
    """A model with one is an `EncryptedRow`, and so rotation finds it."""
    columns = {
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.name.endswith("_encrypted")
    }
    assert {(Connection, "password_encrypted"), (Job, "environment_encrypted")} <= columns
    assert {model for model, _ in columns} | {Authenticator} == key_rotation.sources().keys()
    for model, name in columns:
        row = model()
        setattr(row, name, "a token")
        assert key_rotation.sources()[model].sealed(row).keys() == {name}


@pytest.mark.django_db
def test_only_rows_with_a_secret_are_looked_at() -> None:
    """Most jobs have none, and there may be very many."""
    with_one, without = machine("x"), factories.make_connection()
    Connection.objects.filter(pk=with_one.pk).update(private_key_encrypted="")
    bare = make_job(make_project(without))
    given = make_job(make_project(without), environment={"A": "1"})
    assert list(Connection.with_secrets()) == [with_one]
    assert (given in Job.with_secrets(), bare in Job.with_secrets()) == (True, False)


# Who keeps ciphertexts elsewhere than in a column of an `EncryptedRow`, and why rotation need not
# find them by themselves.
ELSEWHERE = {
    "accounts/auth/mfa.py": "in allauth's JSON; a source of its own",
    "accounts/auth/idempotency.py": "answers of a day, which the command drops",
}


def test_nobody_else_encrypts() -> None:
    callers = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "migrations" not in path.parts and "crypto.encrypt(" in path.read_text(encoding="utf-8")
    }
    assert callers - {"core/security/encrypted_fields.py"} == ELSEWHERE.keys()


@pytest.mark.django_db
def test_what_was_kept_before_opens() -> None:
    """The contexts, letter by letter: another one would lose every secret that is stored."""
    row = machine("x")
    job = make_job(make_project(row))
    channel = Channel(team=row.team, name="hook", kind="webhook", shown_url="http://192.0.2.9")
    place = places.digest(places.of(row))
    for kept, name, context in (
        (row, "private_key", f"connections.connection/{row.pk}/private_key"),
        (row, "passphrase", f"connections.connection/{row.pk}/passphrase"),
        (
            row,
            "password",
            f"connections.connection/{row.pk}/password/{place}",
        ),
        (job, "environment", f"jobs.job/{job.pk}/environment"),
        (channel, "url", f"notifications.channel/{channel.pk}/url"),
        (channel, "secret", f"notifications.channel/{channel.pk}/secret"),
    ):
        setattr(kept, f"{name}_encrypted", crypto.encrypt("of before", context))
        assert kept.secret(name) == "of before"
        setattr(kept, f"{name}_encrypted", crypto.encrypt("of another row", f"{context}x"))
        with pytest.raises(SecretUnreadable):
            kept.secret(name)
