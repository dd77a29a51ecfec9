"""The people of the access matrix, and the objects of the team that they knock at."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone

from accounts import audit
from accounts.models import ApiToken, AuditEvent, Role, Scope, User
from accounts.policy import Caller
from accounts.teams import invitations
from alerts.models import Alert, AlertRule
from connections.models import Connection, Keeper
from metrics.models import Retention
from notifications.models import Channel, Delivery, Event, Notification
from tests import factories
from tests.exports.files import make_export, make_schedule
from tests.jobs.rows import make_job
from usage.models import UsageSettings

ACTORS = ("anonymous", "viewer", "operator", "administrator", "stranger", "superuser")
_TEAM_ROLES = {
    "viewer": Role.VIEWER,
    "operator": Role.OPERATOR,
    "administrator": Role.ADMINISTRATOR,
}


@dataclass(frozen=True, slots=True)
class Cast:
    """A client of the pages and one of the API for each actor, and the objects by name."""

    users: dict[str, User]
    pages: dict[str, Client]
    api: dict[str, Client]
    values: dict[str, Any]


def make_cast() -> Cast:
    team = factories.make_team("the team")
    users = {name: factories.make_user(name) for name in _TEAM_ROLES}
    for name, role in _TEAM_ROLES.items():
        factories.join(users[name], team, role)
    users["stranger"] = factories.make_user("stranger")
    factories.join(users["stranger"], factories.make_team("another team"), Role.ADMINISTRATOR)
    users["superuser"] = factories.make_user("superuser", is_superuser=True, is_staff=True)
    pages, api = {"anonymous": _client()}, {"anonymous": _client()}
    for name, user in users.items():
        secret = factories.make_token(user, Scope.ADMIN, name=f"of the {name}")
        pages[name] = _client()
        pages[name].force_login(user)
        api[name] = _client({"Authorization": f"Bearer {secret}"})
    return Cast(users, pages, api, _values(team, users))


def _client(headers: dict[str, str] | None = None) -> Client:
    return Client(headers=headers or {}, raise_request_exception=False)


def _values(team: Any, users: dict[str, User]) -> dict[str, Any]:
    """What stands in each place of a route. The token is the viewer's own, the member a viewer."""
    # An address that is refused, so that a test of the machine ends at once.
    machine = factories.make_connection(team, name="machine", hostname="127.0.0.1", port=9)
    deleted = factories.make_connection(team, name="deleted", deleted_at=timezone.now())
    project = factories.make_project(machine, name="project")
    deleted_project = factories.make_project(machine, name="old", deleted_at=timezone.now())
    job = make_job(project)
    deleted_job = make_job(project, deleted_at=timezone.now())
    token = ApiToken.objects.get(user=users["viewer"])
    group = Group.objects.create(name="group")
    address = EmailAddress.objects.create(user=users["viewer"], email="viewer@example.org")
    keeper = Keeper.objects.create(name="keeper", heartbeat_at=timezone.now() - timedelta(hours=1))
    event = audit.record(None, "test.action", machine)
    channel = Channel(team=team, name="hook", kind="webhook", shown_url="http://127.0.0.1:9")
    channel.set_secret("url", "http://127.0.0.1:9/")
    channel.set_secret("secret", "secret")
    channel.save()
    news = Event.objects.create(team=team, kind="test", severity="info", title="News")
    Notification.objects.create(event=news, user=users["viewer"])
    delivery = Delivery.objects.create(event=news, channel=channel)
    export, deleted_export = (make_export(machine, deleted_at=at) for at in (None, timezone.now()))
    schedule, deleted_schedule = (
        make_schedule(machine, deleted_at=at) for at in (None, timezone.now())
    )
    invitation = invitations.create(Caller(users["administrator"]), team.pk, Role.VIEWER)[0]
    settings = UsageSettings(keep_days=400)
    settings.save()
    rule = AlertRule(team=team, name="rule", metric="cpu_percent", comparison=">", threshold=1)
    rule.created_by = users["operator"]
    rule.save()
    deleted_rule = AlertRule(team=team, name="old", metric="cpu_percent", comparison=">")
    deleted_rule.threshold, deleted_rule.created_by = 1, users["operator"]
    deleted_rule.deleted_at = timezone.now()
    deleted_rule.save()
    now = timezone.now()
    alert = Alert.objects.create(
        rule=rule, team=team, connection=machine, state="firing", started_at=now, seen_at=now
    )
    return {
        "rule_id": rule.pk,
        "deleted rule_id": deleted_rule.pk,
        "alert_id": alert.pk,
        "alerts.alertrule": rule.pk,
        "alerts.alert": alert.pk,
        "invitation_id": invitation.pk,
        "secret": "no-such-link",
        "export_id": export.pk,
        "deleted export_id": deleted_export.pk,
        "schedule_id": schedule.pk,
        "deleted schedule_id": deleted_schedule.pk,
        "event_id": news.pk,
        "channel_id": channel.pk,
        "notifications.channel": channel.pk,
        "notifications.event": news.pk,
        "notifications.delivery": delivery.pk,
        "connection_id": machine.pk,
        "deleted connection_id": deleted.pk,
        "project_id": project.pk,
        "deleted project_id": deleted_project.pk,
        "job_id": job.pk,
        "deleted job_id": deleted_job.pk,
        "team_id": team.pk,
        "user_id": users["viewer"].pk,
        "token_id": token.pk,
        "token": "no-such-link",
        "key": "no-such-key",
        "uidb36": "no",
        "provider_id": "none",
        "pk": 1,
        "url": "no/such/page",
        "app_label": "accounts",
        "content_type_id": ContentType.objects.get_for_model(Connection).pk,
        "object_id": machine.pk,
        "auth.group": group.pk,
        "account.emailaddress": address.pk,
        "accounts.user": users["viewer"].pk,
        "accounts.team": team.pk,
        "accounts.apitoken": token.pk,
        "accounts.auditevent": AuditEvent.objects.get(pk=event.pk).pk,
        "connections.connection": machine.pk,
        "connections.keeper": keeper.pk,
        "connections.serverkey": factories.open_server_key(team, "/closed").pk,
        "metrics.retention": Retention.objects.create(tier="raw", keep_days=14).pk,
        "usage.usagesettings": settings.pk,
        "projects.project": project.pk,
        "jobs.job": job.pk,
        "jobs.machinequeue": machine.pk,
    }
