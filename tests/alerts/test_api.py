"""Rules and alerts over the REST API: who may, what is refused, what a change ends."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, Role, Scope
from alerts.models import Alert, AlertRule
from notifications.models import Channel
from tests import factories
from tests.alerts.conftest import Crew, Scene, make_rule
from tests.api.client import Api, fields_of

# The same in every process of a run: it becomes part of a test's name.
NOBODYS = UUID("7f2f3f0e-0a5b-4c57-9d3e-1f5d2b8c9a10")

HOT: dict[str, Any] = {
    "name": "Hot",
    "metric": "gpu_temperature_c",
    "comparison": ">",
    "threshold": 80,
}


def api(user: Any, scope: str = Scope.ADMIN) -> Api:
    return Api(factories.make_token(user, scope))


def own(crew: Crew, **fields: Any) -> AlertRule:
    return make_rule(crew.team, created_by=crew.operator, **fields)


def test_a_rule_is_made_with_what_it_does_not_say(crew: Crew) -> None:
    answer = api(crew.operator).post("/alert-rules", HOT)
    assert answer.status_code == 201
    rule = AlertRule.objects.get()
    shown = answer.json()
    assert shown["created_at"].endswith("Z")
    assert {name: shown[name] for name in shown if not name.endswith("_at")} == HOT | {
        "id": str(rule.pk),
        "team_id": str(crew.team.pk),
        "threshold": 80.0,
        "for_seconds": 0,
        "clear_margin": 0.0,
        "and": None,
        "connection_id": None,
        "tag": None,
        "gpu": None,
        "channel_ids": [],
        "enabled": True,
        "snoozed_until": None,
    }
    assert AuditEvent.objects.filter(action="alert_rule.create", object_id=str(rule.pk)).exists()


def test_a_rule_says_everything_it_was_given(crew: Crew) -> None:
    machine = factories.make_connection(crew.team)
    channel = Channel.objects.create(team=crew.team, name="ops", shown_url="x")
    until = (timezone.now() + timedelta(hours=1)).isoformat(timespec="milliseconds")
    sent = HOT | {
        "metric": "gpu_sm_clock_mhz",
        "comparison": "<",
        "threshold": 1400,
        "for_seconds": 30,
        "clear_margin": 50,
        "and": {"metric": "gpu_percent", "comparison": ">", "threshold": 80},
        "connection_id": str(machine.pk),
        "gpu": 0,
        "channel_ids": [str(channel.pk)],
        "snoozed_until": until,
    }
    shown = api(crew.operator).post("/alert-rules", sent).json()
    expected = sent | {"snoozed_until": until.replace("+00:00", "Z")}
    assert {name: shown[name] for name in sent} == expected
    assert api(crew.viewer).get(f"/alert-rules/{shown['id']}").json() == shown
    assert api(crew.viewer).get("/alert-rules").json() == {"items": [shown], "count": 1}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metric": "nonsense"}, "metric"),
        ({"comparison": "=="}, "comparison"),
        ({"threshold": "hot"}, "threshold"),
        ({"threshold": 1e300}, "threshold"),
        ({"for_seconds": -1}, "for_seconds"),
        ({"for_seconds": 8 * 86_400}, "for_seconds"),
        ({"clear_margin": -1}, "clear_margin"),
        ({"gpu": -1}, "gpu"),
        ({"metric": "cpu_percent", "gpu": 0}, "gpu"),
        ({"and": {"metric": "gpu_percent"}}, "and.comparison"),
        ({"connection_id": str(NOBODYS)}, "connection_id"),
        ({"channel_ids": [str(NOBODYS)]}, "channel_ids"),
        ({"snoozed_until": "2026-11-20T12:00:00"}, "snoozed_until"),
        ({"metric": "not_seen_seconds", "comparison": "<"}, "metric"),
        ({"metric": "memory_seconds_left"}, "comparison"),
        ({"name": " "}, "name"),
        ({"unknown": 1}, "unknown"),
    ],
    ids=str,
)
def test_refuses_what_makes_no_rule(crew: Crew, change: dict[str, Any], field: str) -> None:
    answer = api(crew.operator).post("/alert-rules", HOT | change)
    assert answer.status_code == 422
    assert field in fields_of(answer)
    assert not AlertRule.objects.exists()


def test_a_machine_and_a_tag_exclude_each_other(crew: Crew) -> None:
    machine = factories.make_connection(crew.team)
    sent = HOT | {"connection_id": str(machine.pk), "tag": "lab"}
    assert fields_of(api(crew.operator).post("/alert-rules", sent)) == {"tag"}


def test_another_teams_machine_is_not_there(crew: Crew) -> None:
    machine = factories.make_connection(crew.team)
    answer = api(crew.stranger).post("/alert-rules", HOT | {"connection_id": str(machine.pk)})
    assert fields_of(answer) == {"connection_id"}


def test_operators_change_their_own_rules_and_administrators_all(crew: Crew) -> None:
    colleague = factories.make_user()
    factories.join(colleague, crew.team, Role.OPERATOR)
    rule = own(crew)
    for user, expected in (
        (crew.viewer, 403),
        (colleague, 403),
        (crew.stranger, 404),
        (crew.operator, 200),
        (crew.boss, 200),
    ):
        answer = api(user).patch(f"/alert-rules/{rule.pk}", {"threshold": 70})
        assert answer.status_code == expected
    assert api(crew.viewer).post("/alert-rules", HOT).status_code == 403
    assert api(crew.operator, Scope.READ).post("/alert-rules", HOT).status_code == 403


def test_a_patch_changes_what_it_names(crew: Crew) -> None:
    rule = own(crew, for_seconds=60, and_metric="gpu_percent", and_comparison=">", and_threshold=5)
    shown = api(crew.operator).patch(f"/alert-rules/{rule.pk}", {"name": "Warm"}).json()
    assert (shown["name"], shown["threshold"], shown["for_seconds"]) == ("Warm", 80.0, 60)
    assert shown["and"] == {"metric": "gpu_percent", "comparison": ">", "threshold": 5.0}
    shown = api(crew.operator).patch(f"/alert-rules/{rule.pk}", {"and": None}).json()
    assert shown["and"] is None
    wrong = api(crew.operator).patch(f"/alert-rules/{rule.pk}", {"metric": "nonsense"})
    assert wrong.status_code == 422


def test_a_new_threshold_ends_what_is_open_and_a_new_name_does_not(
    crew: Crew, scene: Scene
) -> None:
    rule = own(crew)
    machine = scene.machine()
    scene.read(machine, scene.sample(90))
    api(crew.operator).patch(f"/alert-rules/{rule.pk}", {"name": "Warm"})
    assert Alert.objects.get().state == "firing"
    api(crew.operator).patch(f"/alert-rules/{rule.pk}", {"threshold": 85})
    assert Alert.objects.get().state == "resolved"
    scene.read(machine, scene.sample(90))
    assert sorted(Alert.objects.values_list("state", flat=True)) == ["firing", "resolved"]


def test_a_deleted_rule_is_silent_and_comes_back(crew: Crew, scene: Scene) -> None:
    rule = own(crew)
    machine = scene.machine()
    scene.read(machine, scene.sample(90))
    operator = api(crew.operator)
    assert operator.delete(f"/alert-rules/{rule.pk}").status_code == 204
    assert operator.get(f"/alert-rules/{rule.pk}").status_code == 404
    assert Alert.objects.get().state == "resolved"
    scene.read(machine, scene.sample(90))
    assert Alert.objects.count() == 1
    assert api(crew.stranger).post(f"/alert-rules/{rule.pk}/restore").status_code == 404
    assert operator.post(f"/alert-rules/{rule.pk}/restore").status_code == 200
    scene.read(machine, scene.sample(90))
    assert sorted(Alert.objects.values_list("state", flat=True)) == ["firing", "resolved"]


def test_alerts_are_listed_by_what_is_asked(crew: Crew, scene: Scene) -> None:
    rule = own(crew)
    one, two = scene.machine(), scene.machine()
    scene.read(one, scene.sample(90))
    scene.read(two, scene.sample(90))
    scene.read(two, scene.sample(60))
    viewer = api(crew.viewer)

    def ids(**query: Any) -> list[str]:
        return [item["connection_id"] for item in viewer.get("/alerts", **query).json()["items"]]

    assert ids() == [str(two.pk), str(one.pk)]
    assert ids(state="firing") == [str(one.pk)]
    assert ids(connection_id=two.pk) == [str(two.pk)]
    assert len(ids(rule_id=rule.pk)) == 2
    assert ids(rule_id=uuid4()) == []
    assert ids(acknowledged="true") == []
    assert viewer.get("/alerts", state="on fire").status_code == 422
    assert api(crew.stranger).get("/alerts").json() == {"items": [], "count": 0}
    shown = viewer.get("/alerts", state="resolved").json()["items"][0]
    assert shown["gpu"] == 0
    assert shown["value"] == 90.0
    assert shown["resolved_at"].endswith("Z")


def test_acknowledging_is_for_operators_and_happens_once(crew: Crew, scene: Scene) -> None:
    own(crew)
    scene.read(scene.machine(), scene.sample(90))
    alert = Alert.objects.get()
    path = f"/alerts/{alert.pk}/acknowledge"
    assert api(crew.viewer).post(path).status_code == 403
    assert api(crew.stranger).post(path).status_code == 404
    first = api(crew.operator).post(path).json()
    assert first["acknowledged_at"] is not None
    assert api(crew.boss).post(path).json() == first
    alert.refresh_from_db()
    assert (alert.state, alert.acknowledged_by) == ("firing", crew.operator)
    assert AuditEvent.objects.filter(action="alert.acknowledge").count() == 1


def test_lists_cost_the_same_for_one_and_for_many(
    crew: Crew, scene: Scene, django_assert_max_num_queries: Any
) -> None:
    channel = Channel.objects.create(team=crew.team, name="ops", shown_url="x")
    for number in range(10):
        own(crew, name=f"rule {number}").channels.add(channel)
    scene.read(scene.machine(), scene.sample(90))
    viewer = api(crew.viewer)
    with django_assert_max_num_queries(7):
        assert viewer.get("/alert-rules").json()["count"] == 10
    with django_assert_max_num_queries(6):
        assert viewer.get("/alerts").json()["count"] == 10
