"""Reading the audit trail back: on the page, over the API, as CSV; logins and refusals in it."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import authenticate
from django.test import Client
from django.utils import timezone

from accounts import audit
from accounts.audit import denials
from accounts.audit import query as audit_query
from accounts.models import AuditEvent, Refusal, Role, Team, User
from accounts.policy import Caller
from tests import factories
from tests.accounts.people import client_of
from tests.api.client import Api


@pytest.fixture
def team(db: None) -> Team:
    return factories.make_team("lab")


@pytest.fixture
def boss(team: Team) -> User:
    user = factories.make_user("boss")
    factories.join(user, team, Role.ADMINISTRATOR)
    return user


@pytest.fixture
def rows(team: Team, boss: User) -> None:
    ada = factories.make_user("ada")
    audit.record(Caller(boss), "machine.connect", factories.make_connection(team, name="spark"))
    audit.record(Caller(ada), "machine.disconnect", factories.make_connection(team, name="tower"))
    audit.record(Caller(ada), "team.rename", team)
    audit.record(Caller(ada), "machine.connect", factories.make_connection(name="foreign"))


@pytest.mark.django_db(transaction=True)  # threads read what is streamed
@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 3),
        ({"actor": "AD"}, 2),
        ({"action": "machine."}, 2),
        ({"action": "connect"}, 0),
        ({"object": "spar"}, 1),
        ({"actor": "ada", "action": "team"}, 1),
        ({"since": "2100-01-01T00:00:00Z"}, 0),
        ({"until": "2100-01-01T00:00:00Z"}, 3),
    ],
)
def test_rows_are_chosen_alike_everywhere(
    rows: None, boss: User, query: dict[str, str], count: int
) -> None:
    api = Api(factories.make_token(boss))
    assert api.get("/audit", **query).json()["count"] == count
    pages = {key: value[:10] for key, value in query.items()}
    client = client_of(boss)
    page = client.get("/audit/", pages)
    assert page.context["page"].paginator.count == count
    lines = read_csv(client.get("/audit/csv", pages))
    assert len(lines) == count


def read_csv(answer: Any) -> list[dict[str, str]]:
    async def read() -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    text = async_to_sync(read)().decode()
    assert "attachment" in answer.headers["Content-Disposition"]
    return list(csv.DictReader(StringIO(text)))


@pytest.mark.parametrize("query", ["since=yesterday", "since=2026-01-01T00:00:00", "actor=%00"])
def test_odd_choices_are_refused_by_the_api_and_passed_over_by_the_page(
    rows: None, boss: User, query: str
) -> None:
    client = Client(headers={"Authorization": f"Bearer {factories.make_token(boss)}"})
    assert client.get(f"/api/v1/audit?{query}").status_code == 422
    assert client_of(boss).get(f"/audit/?{query}").status_code == 200


def test_others_do_not_read_it(rows: None, team: Team) -> None:
    viewer = factories.make_user()
    factories.join(viewer, team, Role.OPERATOR)
    for path in ("/audit/", "/audit/csv"):
        assert client_of(viewer).get(path).status_code == 403
        assert Client().get(path).status_code == 302


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(boss: User, team: Team, start: str) -> None:
    # Past `audit.record`, which lets neither a tab nor a line end into a name.
    row = AuditEvent.objects.create(action="test.action", object_name=f"{start}1+1")
    line = next(csv.DictReader(StringIO("".join(audit_query.as_csv(AuditEvent.objects.all())))))
    assert line["object_name"] == f"'{row.object_name}"
    assert line["id"] == str(row.pk)


# --- Logins and refusals --------------------------------------------------------------------------


def written() -> list[tuple[str, str, int | None]]:
    """What the trail says once the running minute is over."""
    denials.write_down(timezone.now() + timedelta(minutes=1))
    rows = AuditEvent.objects.order_by("id")
    return [(row.action, row.actor_name, row.detail.get("count")) for row in rows]


def test_logins_and_failures_are_written(boss: User) -> None:
    client = Client()
    form = {"login": "boss", "password": "wrong"}
    client.post("/accounts/login/", form)
    client.post("/accounts/login/", form | {"login": "a-passw0rd-by-mistake"})
    client.post("/accounts/login/", form | {"password": "password"})
    client.post("/accounts/logout/")
    found = written()
    assert ("login", "boss", None) in found
    assert ("logout", "boss", None) in found
    assert ("login.failed", "somebody", 2) in found
    assert AuditEvent.objects.get(action="login.failed").detail["first"] == {"person": "boss"}
    assert "a-passw0rd-by-mistake" not in str(list(AuditEvent.objects.values()))


def test_a_flood_of_refusals_is_one_row_per_minute_and_caller(boss: User, team: Team) -> None:
    viewer = factories.make_user("viewer")
    factories.join(viewer, team)
    machine = factories.make_connection(team)
    api, page = Api(factories.make_token(viewer)), client_of(viewer)
    for _ in range(20):
        assert api.post(f"/connections/{machine.pk}/connect").status_code == 403
        assert page.post(f"/machines/{machine.pk}/connect").status_code == 403
    for _ in range(5):
        assert Api("dgx_" + "x" * 43).get("/connections").status_code == 401
    assert Refusal.objects.count() <= 4  # twice as many when the minute ends meanwhile
    counts: dict[str, int] = {}
    for action, actor, count in written():
        assert action == "access.refused"
        counts[actor] = counts.get(actor, 0) + (count or 0)
    assert counts == {"viewer": 40, "somebody": 5}
    assert audit.verify()[1] == []
    assert not Refusal.objects.exists()


def test_the_running_minute_is_still_counted(boss: User) -> None:
    denials.note("access.refused", user=boss, address="192.0.2.1")
    now = datetime.now(UTC)
    assert denials.write_down(now - timedelta(minutes=1)) == 0
    denials.note("access.refused", user=boss, address="192.0.2.1")
    assert (
        sum(row.count for row in Refusal.objects.all())
        + sum(row.detail["count"] for row in AuditEvent.objects.all())
        == 2
    )


def test_an_unknown_password_is_counted_for_its_network(db: None) -> None:
    for address in ("2001:db8::1", "2001:db8::2"):
        denials.note("login.failed", user=None, address=address)
    assert {row.caller for row in Refusal.objects.all()} == {"address 2001:db8::/64"}
    authenticate(None, username="x", password="y")
    assert Refusal.objects.filter(caller="address unknown").exists()
