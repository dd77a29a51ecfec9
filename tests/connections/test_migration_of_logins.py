"""Machines that connected before the migration of log-ins connect after it, and back."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from connections.credentials import passwords
from connections.models import Connection, ServerKey
from core.security import crypto
from tests import factories

BEFORE, AFTER = ("connections", "0001_initial"), ("connections", "0002_server_keys")


@pytest.fixture
def old(transactional_db: None) -> Iterator[Any]:
    """The models as they were."""
    executor = MigrationExecutor(connection)
    newest = executor.loader.graph.leaf_nodes()
    executor.migrate([BEFORE])
    yield executor.loader.project_state([BEFORE]).apps
    MigrationExecutor(connection).migrate(newest)


def old_row(old: Any, team: Any, name: str, **fields: Any) -> Any:
    rows = old.get_model("connections", "Connection").objects
    row = rows.create(team_id=team.pk, name=name, hostname="192.0.2.1", username="ml", **fields)
    context = f"connections.connection/{row.pk}/password"
    row.password_encrypted = crypto.encrypt(f"of {name}", context)
    row.save()
    return row


def test_what_is_in_use_stays_in_use(old: Any) -> None:
    team, other = factories.make_team(), factories.make_team()
    jump = old_row(old, team, "jump", auth_method="password", host_key="SHA256:" + "A" * 43)
    old_row(old, team, "behind", auth_method="password", jump_connection=jump)
    old_row(old, team, "agent", auth_method="agent")
    old_row(old, team, "second agent", auth_method="agent", deleted_at="2026-01-01T00:00Z")
    old_row(old, other, "path", auth_method="key", ssh_key_path="/keys/id")
    old_row(old, other, "here", transport="local", ssh_key_path="/unused")
    lost = old_row(old, other, "lost", auth_method="password")
    type(lost).objects.filter(pk=lost.pk).update(password_encrypted="of a key that is gone")

    MigrationExecutor(connection).migrate([AFTER])
    listed = set(ServerKey.objects.values_list("team_id", "path"))
    assert listed == {(team.pk, ""), (other.pk, "/keys/id")}
    for name in ("jump", "behind", "agent", "path"):
        row = Connection.objects.get(name=name)
        assert row.secret("password") == f"of {name}"
        Connection.objects.filter(pk=row.pk).update(port=2222)
        assert passwords._opened(Connection.objects.get(pk=row.pk)) is None
        Connection.objects.filter(pk=row.pk).update(port=22)
    assert Connection.objects.get(name="lost").password_encrypted == "of a key that is gone"

    MigrationExecutor(connection).migrate([BEFORE])
    back = old.get_model("connections", "Connection").objects.get(name="behind")
    context = f"connections.connection/{back.pk}/password"
    assert crypto.decrypt(back.password_encrypted, context) == "of behind"
