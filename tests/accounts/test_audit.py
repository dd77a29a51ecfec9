"""The audit trail only grows, and what is done to it behind the site's back is found."""

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, connection, transaction

from accounts import audit
from accounts.models import AuditEvent
from accounts.policy import Caller
from tests import factories

TABLE = "accounts_auditevent"


def behind_our_back(sql: str) -> None:
    """What somebody with all rights in the database can do."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
        cursor.execute(sql)
        cursor.execute(f"ALTER TABLE {TABLE} ENABLE TRIGGER USER")


def write_rows(count: int = 5) -> None:
    for number in range(1, count + 1):
        audit.record(None, "test.action", number=number, text="ä 'quoted' \\")


def found() -> list[tuple[int, str]]:
    return [(finding.row_id, finding.problem) for finding in audit.verify()[1]]


@pytest.mark.django_db
def test_rows_are_numbered_without_gaps_and_linked() -> None:
    with transaction.atomic():
        audit.record(None, "test.undone")
        transaction.set_rollback(True)
    write_rows()
    rows = list(AuditEvent.objects.order_by("id"))
    assert [row.pk for row in rows] == [1, 2, 3, 4, 5]
    assert [row.previous_hash for row in rows] == ["", *(row.hash for row in rows[:-1])]
    assert audit.verify() == (5, [])
    call_command("audit_verify", stdout=(out := StringIO()))
    assert "5 rows" in out.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sql",
    [
        f"UPDATE {TABLE} SET actor_name = 'nobody'",
        f"UPDATE {TABLE} SET detail = '{{}}' WHERE id = 3",
        f"DELETE FROM {TABLE} WHERE id = 3",
        f"DELETE FROM {TABLE}",
        f"TRUNCATE {TABLE}",
    ],
)
def test_rows_can_neither_be_changed_nor_removed(sql: str) -> None:
    write_rows()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute(sql)
    assert audit.verify() == (5, [])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor_name", "'somebody else'"),
        ("detail", """'{"number": 7}'"""),
        ("at", "at - interval '1 microsecond'"),
        ("address", "'192.0.2.7'"),
        ("team_id", "gen_random_uuid()"),
        ("token_name", "'x'"),
        ("hash", "repeat('0', 64)"),
        ("previous_hash", "repeat('0', 64)"),
    ],
)
def test_one_altered_row_is_found(column: str, value: str) -> None:
    write_rows()
    behind_our_back(f"UPDATE {TABLE} SET {column} = {value} WHERE id = 3")
    assert (3, "altered after it was written, or put in by hand") in found()
    with pytest.raises(CommandError, match="tampered"):
        call_command("audit_verify", stderr=StringIO())


@pytest.mark.django_db
@pytest.mark.parametrize("row_id", [1, 3, 5])
def test_one_removed_row_is_found(row_id: int) -> None:
    write_rows()
    behind_our_back(f"DELETE FROM {TABLE} WHERE id = {row_id}")
    assert found()[0][0] == row_id
    assert "removed" in found()[0][1]


@pytest.mark.django_db
def test_a_removed_row_is_found_although_the_later_ones_were_renumbered() -> None:
    write_rows()
    behind_our_back(f"DELETE FROM {TABLE} WHERE id = 3")
    for row_id in (4, 5):
        behind_our_back(f"UPDATE {TABLE} SET id = {row_id - 1} WHERE id = {row_id}")
    assert {row_id for row_id, _ in found()} >= {3, 4}


_COPY = (
    "at, actor_id, actor_name, token_name, team_id, action, object_type, object_id, object_name, "
    "address, detail"
)


@pytest.mark.django_db
@pytest.mark.parametrize("digest", ["repeat('0', 64)", "hash"])
def test_one_inserted_row_is_found(digest: str) -> None:
    write_rows()
    behind_our_back(
        f"INSERT INTO {TABLE} (id, {_COPY}, previous_hash, hash)"
        f" SELECT 6, {_COPY}, hash, {digest} FROM {TABLE} WHERE id = 5"
    )
    assert 6 in {row_id for row_id, _ in found()}


@pytest.mark.django_db
def test_a_row_put_in_with_a_right_digest_is_found() -> None:
    write_rows()
    behind_our_back(
        f"INSERT INTO {TABLE} (id, {_COPY}, previous_hash, hash)"
        f" SELECT 6, {_COPY}, hash, '' FROM {TABLE} WHERE id = 5"
    )
    behind_our_back(f"UPDATE {TABLE} e SET hash = audit_digest(e) WHERE id = 6")
    assert found() == [(6, "put in by hand, with all after it")]


@pytest.mark.django_db
def test_deleting_a_person_and_a_team_leaves_their_rows() -> None:
    user, team = factories.make_user("ada"), factories.make_team("lab")
    audit.record(Caller(user), "test.action", team)
    before = AuditEvent.objects.values().get()
    user.delete()
    team.delete()
    assert AuditEvent.objects.values().get() == before
    assert before["actor_id"] is not None
    assert before["team_id"] is not None
    assert AuditEvent.objects.select_related("team").get().team is None
    assert audit.verify() == (1, [])


@pytest.mark.django_db(transaction=True)
def test_many_writers_at_once_make_one_chain() -> None:
    def write(_: int) -> None:
        try:
            for _ in range(5):
                with transaction.atomic():
                    audit.record(None, "test.action")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert audit.verify() == (40, [])


@pytest.mark.django_db(transaction=True)
def test_a_writer_that_hangs_delays_the_others_for_a_few_seconds_only() -> None:
    def write() -> str:
        try:
            audit.record(None, "test.action")
        except OperationalError as error:
            return str(error)
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        audit.take_turn()
        assert "lock timeout" in pool.submit(write).result(15)


@pytest.mark.django_db
def test_rows_of_before_the_chain_are_taken_into_it() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
        for number in (3, 7, 8):
            AuditEvent.objects.create(pk=number, actor_name="x", action="test.old")
        cursor.execute(import_module("accounts.migrations.0004_audit_chain").CHAIN_WHAT_IS_THERE)
        cursor.execute(f"ALTER TABLE {TABLE} ENABLE TRIGGER USER")
    audit.record(None, "test.new")
    assert audit.verify() == (4, [])
