"""A machine that is off holds up its own exports alone, and no more than so many wait for it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from django.db import connection as database
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from connections.files import upload
from connections.models import Connection
from exports import claiming, queue, room, schedules
from exports.models import Export, ExportSchedule, State
from tests import factories
from tests.exports import silent
from tests.exports.conftest import Lab
from tests.exports.files import make_export, make_schedule
from tests.waiting import until

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _loopback(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ALLOW_LOOPBACK = True
    # A machine that is silent is let go of by the test, however slow the test is.
    monkeypatch.setattr(upload, "LOGIN_SECONDS", 600.0)


def waiting(machine: Connection, person: User, **fields: Any) -> Export:
    values: dict[str, Any] = {
        "state": State.WAITING,
        "local_ok": None,
        "remote_ok": None,
        "started_at": None,
    }
    values |= {"requested_by": person, "finished_at": None, "filename": ""}
    return make_export(machine, **(values | fields))


def of_another_team() -> tuple[Connection, User]:
    team, person = factories.make_team(), factories.make_user()
    factories.join(person, team, Role.OPERATOR)
    return factories.make_connection(team), person


def every_minute(lab: Lab) -> list[ExportSchedule]:
    return [
        make_schedule(lab.machine, created_by=lab.people["operator"])
        for _ in range(schedules.MOST_PER_MACHINE)
    ]


def due(rows: list[ExportSchedule]) -> None:
    keys = [row.pk for row in rows]
    past = timezone.now() - timedelta(seconds=5)
    ExportSchedule.objects.filter(pk__in=keys).update(next_run_at=past)


def apart(work: Callable[[], T]) -> T:
    """In a thread: its connection goes with it."""
    try:
        return work()
    finally:
        database.close()


def test_a_silent_machine_with_schedules_for_each_minute_holds_up_no_other_team(lab: Lab) -> None:
    rows = every_minute(lab)
    due(rows)
    machine, person = of_another_team()
    with silent.behind(lab.machine) as nobody, ThreadPoolExecutor(queue.HANDS) as pool:
        first = pool.submit(apart, queue.run)
        until(lambda: nobody.taken)
        other = waiting(machine, person, kind="range", range="24h", format="csv")
        # The next worker that looks makes it, though twenty have waited longer; then nothing is
        # left to begin, and its hand is free.
        assert pool.submit(apart, queue.run).result(60) == 1
        other.refresh_from_db()
        assert other.state == State.DONE
        assert nobody.taken == 1
        due(rows)
        assert pool.submit(apart, queue.run).result(60) == 0
        assert Export.objects.filter(connection=lab.machine).count() == len(rows)
        nobody.let_go()
        assert first.result(60) == len(rows)
    assert not Export.objects.filter(state__in=(State.WAITING, State.RUNNING)).exists()


def test_a_team_with_every_hand_is_last_when_one_is_free(lab: Lab) -> None:
    """Its schedules fall due meanwhile, and others' too: nobody's turn is overlooked."""
    machines = [factories.make_connection(lab.team) for _ in range(queue.HANDS)]
    for machine in machines * 2:
        waiting(machine, lab.people["operator"])
    machine, person = of_another_team()
    later = timezone.now() + timedelta(days=1)
    row = make_schedule(
        machine, created_by=person, kind="range", range="24h", format="csv", next_run_at=later
    )
    with silent.behind(*machines) as nobody, ThreadPoolExecutor(queue.HANDS) as pool:
        hands = [pool.submit(apart, queue.run) for _ in machines]
        until(lambda: nobody.taken == queue.HANDS)
        due([row])
        assert queue.run() == 0, "every hand is busy"
        export = Export.objects.get(schedule=row)
        assert export.state == State.WAITING
        nobody.let_go()
        assert sum(hand.result(60) for hand in hands) == len(machines) * 2 + 1
    order = Export.objects.order_by("started_at").values_list("pk", flat=True)
    # One may come before it, if for a moment neither team has any under way.
    assert list(order).index(export.pk) <= queue.HANDS + 1


def nobody_is_told(export: Export, error: Exception) -> None:
    raise AssertionError(export) from error


def claimed(count: int) -> list[UUID]:
    found = (claiming.claim(set(), nobody_is_told) for _ in range(count))
    return [row.pk for row in found if row is not None]


def test_teams_take_turns_then_who_has_waited_longer(lab: Lab) -> None:
    operator = lab.people["operator"]
    many = [waiting(factories.make_connection(lab.team), operator) for _ in range(4)]
    machine, person = of_another_team()
    dual = waiting(machine, person)
    waiting(machine, person)  # of the same machine: not before the first has ended
    table = waiting(machine, person, kind="range", range="24h", format="csv")
    expected = [many[0], dual, many[1], table, many[2], many[3]]
    assert claimed(7) == [row.pk for row in expected]


def test_one_machine_has_one_hand_until_its_export_has_ended(lab: Lab) -> None:
    first, second = (waiting(lab.machine, lab.people["operator"]) for _ in "12")
    assert claimed(2) == [first.pk]
    Export.objects.filter(pk=first.pk).update(state=State.FAILED)
    assert claimed(2) == [second.pk]


def test_workers_that_claim_at_once_share_no_row_and_no_machine(lab: Lab) -> None:
    operator = lab.people["operator"]
    machines = [factories.make_connection(lab.team) for _ in range(3)]
    duals = {waiting(row, operator).pk: row.pk for row in machines for _ in range(4)}
    tables = {
        waiting(row, operator, kind="range", range="24h", format="csv").pk for row in machines
    }
    workers = 6
    gate = threading.Barrier(workers)

    def work() -> list[UUID]:
        gate.wait(30)
        return claimed(3)

    with ThreadPoolExecutor(workers) as pool:
        hands = [pool.submit(apart, work) for _ in range(workers)]
        taken = [one for hand in hands for one in hand.result(60)]
    assert len(taken) == len(set(taken)) == len(machines) + len(tables)
    assert tables <= set(taken)
    asked = [duals[one] for one in taken if one in duals]
    assert sorted(asked) == sorted(row.pk for row in machines)


def test_a_turn_is_skipped_while_the_export_before_it_has_not_ended(lab: Lab) -> None:
    row = make_schedule(lab.machine, created_by=lab.people["operator"])

    def told() -> tuple[str | None, str]:
        [shown] = lab.api("viewer").get("/export-schedules").json()["items"]
        page = Client()
        page.force_login(lab.people["viewer"])
        return shown["rests_because"], page.get("/exports/?show=schedules").content.decode()

    said = "Its last turn was skipped. The export before it had not ended."
    assert schedules.queue_due(timezone.now()) == 1
    for state in (State.WAITING, State.RUNNING):
        Export.objects.update(state=state)
        due([row])
        assert schedules.queue_due(timezone.now()) == 0
        assert told()[0] == said
        assert said in told()[1]
    row.refresh_from_db()
    assert row.next_run_at > timezone.now()
    Export.objects.update(state=State.FAILED)
    due([row])
    assert schedules.queue_due(timezone.now()) == 1
    assert told()[0] is None
    assert "skipped" not in told()[1]


def test_a_machine_has_room_for_so_many(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_PER_MACHINE", 2)
    old = make_export(lab.machine)
    row = make_schedule(lab.machine, created_by=lab.people["operator"])
    for _ in range(2):
        assert lab.api().post(f"/exports/{old.pk}/repeat").status_code == 201
    answer = lab.api("administrator").post(f"/exports/{old.pk}/repeat")
    said = "2 exports wait for this machine already."
    assert (answer.status_code, answer.json()["detail"]) == (409, said)
    assert schedules.queue_due(timezone.now()) == 0
    row.refresh_from_db()
    assert row.skipped_because == f"Its last turn was skipped. {said}"
    page = Client()
    page.force_login(lab.people["operator"])
    refused = page.post(reverse("export_dual", args=[lab.machine.pk]), follow=True)
    assert said in refused.content.decode()
    other = make_export(factories.make_connection(lab.team))
    assert lab.api().post(f"/exports/{other.pk}/repeat").status_code == 201


def test_a_person_has_room_for_so_many(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_PER_PERSON", 2)
    done = [make_export(factories.make_connection(lab.team)) for _ in range(3)]
    operator = lab.people["operator"]
    scheduled = make_schedule(lab.machine, created_by=operator)
    schedules.queue_due(timezone.now())
    assert Export.objects.filter(schedule=scheduled).exists(), "it counts for its machine alone"
    statuses = [lab.api().post(f"/exports/{row.pk}/repeat").status_code for row in done]
    assert statuses == [201, 201, 409]
    answer = lab.api().post(f"/exports/{done[2].pk}/repeat")
    assert answer.json()["detail"] == "2 of your exports wait already; cancel some first."
    assert lab.api("administrator").post(f"/exports/{done[2].pk}/repeat").status_code == 201


def test_who_asks_at_the_same_time_gets_no_more(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_PER_MACHINE", 2)
    old = make_export(lab.machine)
    gate = threading.Barrier(5)

    def ask() -> int:
        gate.wait(30)
        return lab.api().post(f"/exports/{old.pk}/repeat").status_code

    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(apart, ask) for _ in range(5)]
        statuses = sorted(answer.result(60) for answer in answers)
    assert statuses == [201, 201, 409, 409, 409]


def test_a_schedule_that_was_stopped_comes_back_where_there_is_room(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "MOST_PER_MACHINE", 1)
    first = make_schedule(lab.machine, created_by=lab.people["operator"])
    assert lab.api().delete(f"/export-schedules/{first.pk}").status_code == 204
    second = make_schedule(lab.machine, created_by=lab.people["operator"])
    answer = lab.api().post(f"/export-schedules/{first.pk}/restore")
    assert answer.status_code == 409
    assert answer.json()["detail"] == "A machine has at most 1 schedules; stop one first."
    page = Client()
    page.force_login(lab.people["operator"])
    shown = page.post(reverse("export_schedule_restore", args=[first.pk]), follow=True)
    assert "A machine has at most 1 schedules" in shown.content.decode()
    assert lab.api().delete(f"/export-schedules/{second.pk}").status_code == 204
    assert lab.api().post(f"/export-schedules/{first.pk}/restore").status_code == 200


def test_one_that_waits_says_for_what(lab: Lab) -> None:
    page = Client()
    page.force_login(lab.people["viewer"])
    row = waiting(lab.machine, lab.people["operator"])
    assert "waits for its turn" in page.get("/exports/").content.decode()
    make_export(lab.machine, state=State.RUNNING, local_ok=None)
    assert "another export to this machine" in page.get("/exports/").content.decode()
    Export.objects.filter(pk=row.pk).update(kind="range")
    assert "another export to this machine" not in page.get("/exports/").content.decode()
