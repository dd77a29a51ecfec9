"""One table says which exceptions are the caller's, the site's dependencies', or faults of ours."""

import errno
from contextlib import AbstractContextManager

import pytest
from django.core.exceptions import SuspiciousOperation, TooManyFieldsSent, ValidationError
from django.db import DatabaseError, DataError, IntegrityError, connection, transaction
from django.test import Client

from accounts.models import Membership, Role, Team
from core import failures
from core.errors import Conflict, NotFound
from core.form_fields import DayField, MomentField
from core.numbers import whole
from core.times import read
from tests import factories


@pytest.mark.parametrize(
    ("text", "most", "number"),
    [
        ("0", 9, 0),
        ("007", 9, 7),
        ("9", 9, 9),
        ("10", 9, None),
        ("", 9, None),
        ("-1", 9, None),
        ("²", 9, None),
        ("٣", 9, None),
        ("1_0", 99, None),
        ("9" * 5000, 9, None),
        ("0" * 5000, 9, 0),
    ],
)
def test_a_number_is_read_without_converting_a_long_one(
    text: str, most: int, number: int | None
) -> None:
    assert whole(text, most) == number


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "1999-12-31T23:59:59Z",
        "2100-01-01T00:00:00.001Z",
        "2024-01-01T00:00:00+24:00",
        "\ud800",
        "2024-01-01\x00",
        "",
    ],
)
def test_a_moment_outside_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(text)


def test_a_row_that_went_before_it_was_saved_is_not_there(db: None) -> None:
    team = factories.make_team()
    Team.objects.filter(pk=team.pk).delete()
    with pytest.raises(DatabaseError) as raised:
        team.save(update_fields=["name"])
    assert isinstance(failures.known(raised.value, "PATCH /x"), NotFound)
    assert failures.known(DatabaseError("anything else"), "PATCH /x") is None


def test_a_moment_is_utc_whatever_its_offset() -> None:
    assert read("2024-01-01T00:00:00+23:59").isoformat() == "2023-12-31T00:01:00+00:00"
    assert read("2024-01-01T00:00:00").isoformat() == "2024-01-01T00:00:00+00:00"


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "1999-12-31"])
def test_a_form_takes_no_moment_outside(text: str) -> None:
    for field in (MomentField(), DayField()):
        with pytest.raises(Exception, match="2000 to 2099"):
            field.clean(text)


@pytest.mark.django_db
def test_a_broken_uniqueness_is_the_callers_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    team, user = factories.make_team(), factories.make_user()
    factories.join(user, team)
    with pytest.raises(IntegrityError) as met, transaction.atomic():
        Membership.objects.create(team=team, user=user, role=Role.VIEWER)
    found = failures.known(met.value, "POST /x")
    assert isinstance(found, Conflict)
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.django_db
def test_any_other_constraint_is_ours(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(IntegrityError) as met, transaction.atomic():
        _make_nameless_team()
    assert failures.known(met.value, "POST /x") is None


@pytest.mark.django_db
def test_a_service_names_the_constraint_that_is_the_callers() -> None:
    team = factories.make_team()
    with pytest.raises(Conflict) as met, _taken_name(), transaction.atomic():
        Team.objects.create(name=team.name)
    assert met.value.errors[0].field == "name"
    with pytest.raises(IntegrityError), _taken_name(), transaction.atomic():
        _make_nameless_team()


def _make_nameless_team() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO accounts_team (id) VALUES (NULL)")


def _taken_name() -> AbstractContextManager[None]:
    return failures.conflict("accounts_team_name_key", "There is one.", "name")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TooManyFieldsSent("x"), 400),
        (SuspiciousOperation("x"), 400),
        (DataError("x"), 422),
        (ValidationError("x"), 400),
        (OSError(errno.ENOSPC, "x"), 507),
        (OSError(errno.EDQUOT, "x"), 507),
        (OSError(errno.ENOENT, "x"), None),
        (RuntimeError("x"), None),
    ],
)
def test_the_table(error: Exception, status: int | None) -> None:
    found = failures.known(error, "GET /x")
    assert (found and found.status) == status


@pytest.mark.django_db
def test_more_than_a_thousand_fields_are_400_for_both() -> None:
    query = "&".join(f"f{number}=1" for number in range(1100))
    user = factories.make_user(is_superuser=True)
    page = Client()
    page.force_login(user)
    assert page.get(f"/usage/?{query}").status_code == 400
    api = Client(headers={"Authorization": f"Bearer {factories.make_token(user)}"})
    answer = api.get(f"/api/v1/connections?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable")
