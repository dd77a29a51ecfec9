"""Two people at one rule at the same time: nothing comes back that the other has taken away."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from accounts.policy import Caller
from accounts.teams import services as accounts
from alerts import services
from alerts.models import Alert, AlertRule, AlertState
from core.errors import NotFound, Unauthorized
from tests import factories
from tests.alerts.conftest import Crew, make_rule
from tests.api.client import Api
from tests.meanwhile import behind

pytestmark = pytest.mark.django_db(transaction=True)

Act = Callable[[Caller, AlertRule], object]


def soon() -> datetime:
    return timezone.now() + timedelta(hours=1)


def snooze(caller: Caller, rule: AlertRule) -> AlertRule:
    return services.snooze(caller, rule.pk, soon())


def switch_off(caller: Caller, rule: AlertRule) -> AlertRule:
    return services.change(caller, rule.pk, {"enabled": False})


def raise_threshold(caller: Caller, rule: AlertRule) -> AlertRule:
    return services.change(caller, rule.pk, {"threshold": 90.0})


def delete(caller: Caller, rule: AlertRule) -> AlertRule:
    return services.delete(caller, rule.pk)


ACTS = [snooze, switch_off, raise_threshold, delete]


@pytest.mark.parametrize("act", ACTS)
def test_a_rule_that_is_deleted_meanwhile_stays_deleted(crew: Crew, act: Act) -> None:
    rule, boss = make_rule(crew.team), crew.caller("boss")
    second = behind(lambda: delete(boss, rule), lambda: act(boss, rule))
    assert isinstance(second.exception(), NotFound)
    assert not AlertRule.objects.living().exists()
    assert AuditEvent.objects.filter(action__startswith="alert_rule.").count() == 1


@pytest.mark.parametrize("act", ACTS)
def test_a_team_that_is_deleted_meanwhile_is_no_fault_of_ours(crew: Crew, act: Act) -> None:
    rule, boss = make_rule(crew.team), crew.caller("boss")
    root = Caller(factories.make_user(is_superuser=True))
    second = behind(
        lambda: accounts.delete_team(root, crew.team.pk, crew.team.name), lambda: act(boss, rule)
    )
    assert isinstance(second.exception(), NotFound)
    assert not AlertRule.objects.exists()


def test_the_api_says_404_of_it(crew: Crew) -> None:
    rule, boss = make_rule(crew.team), Api(factories.make_token(crew.boss))
    second = behind(
        lambda: delete(crew.caller("boss"), rule),
        lambda: boss.patch(f"/alert-rules/{rule.pk}", {"enabled": False}),
    )
    assert second.result().status_code == 404


def test_what_others_wrote_meanwhile_stays(crew: Crew) -> None:
    rule, boss = make_rule(crew.team), crew.caller("boss")
    second = behind(lambda: raise_threshold(boss, rule), lambda: snooze(boss, rule))
    assert second.exception() is None
    rule.refresh_from_db()
    assert (rule.threshold, rule.revision) == (90.0, 2)
    assert rule.is_snoozed


@pytest.mark.parametrize("act", ACTS)
def test_who_is_removed_meanwhile_changes_nothing(crew: Crew, act: Act) -> None:
    rule = make_rule(crew.team, created_by=crew.operator)
    boss, operator = crew.caller("boss"), crew.caller("operator")
    second = behind(
        lambda: accounts.remove_member(boss, crew.team.pk, crew.operator.pk),
        lambda: act(operator, rule),
    )
    assert isinstance(second.exception(), NotFound)
    _unchanged(rule)


@pytest.mark.parametrize("act", ACTS)
def test_who_is_switched_off_meanwhile_changes_nothing(crew: Crew, act: Act) -> None:
    rule = make_rule(crew.team)
    root, boss = Caller(factories.make_user(is_superuser=True)), crew.caller("boss")
    second = behind(
        lambda: accounts.set_active(root, crew.boss.pk, active=False), lambda: act(boss, rule)
    )
    assert isinstance(second.exception(), Unauthorized)
    _unchanged(rule)


def test_a_rule_comes_out_of_the_trash_once(crew: Crew) -> None:
    rule, boss = make_rule(crew.team, deleted_at=timezone.now()), crew.caller("boss")
    second = behind(
        lambda: services.restore(boss, rule.pk), lambda: services.restore(boss, rule.pk)
    )
    assert isinstance(second.exception(), NotFound)
    assert AlertRule.objects.living().exists()


def test_an_alert_is_acknowledged_by_the_first(crew: Crew) -> None:
    alert = _firing(make_rule(crew.team))
    second = behind(
        lambda: services.acknowledge(crew.caller("boss"), alert.pk),
        lambda: services.acknowledge(crew.caller("operator"), alert.pk),
    )
    assert second.result().acknowledged_by == crew.boss
    alert.refresh_from_db()
    assert alert.acknowledged_by == crew.boss


def test_an_alert_that_goes_meanwhile_is_no_fault_of_ours(crew: Crew) -> None:
    rule = make_rule(crew.team)
    alert = _firing(rule)

    def remove() -> None:
        AuditEvent.objects.create(actor_name="dgxsite", action="alert_rule.purge")
        rule.delete()

    second = behind(remove, lambda: services.acknowledge(crew.caller("boss"), alert.pk))
    assert isinstance(second.exception(), NotFound)


def _firing(rule: AlertRule) -> Alert:
    now = timezone.now()
    machine = factories.make_connection(rule.team)
    return Alert.objects.create(
        rule=rule,
        team=rule.team,
        connection=machine,
        state=AlertState.FIRING,
        started_at=now,
        seen_at=now,
        fired_at=now,
    )


def _unchanged(rule: AlertRule) -> None:
    now = AlertRule.objects.get(pk=rule.pk)
    assert (now.enabled, now.threshold, now.revision) == (True, 80.0, 1)
    assert (now.snoozed_until, now.deleted_at) == (None, None)
