"""What every page knows; nothing here is looked up before a template asks for it."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts import preferences
from accounts.audit import query as audit_query
from accounts.auth.callers import caller_from_page
from accounts.teams import current_team
from alerts.models import Alert
from connections.models import Connection
from core.mail import sends_mail
from dgxsite import version
from notifications import feed

SWITCHER = 30


def site(request: HttpRequest) -> dict[str, Any]:
    """The version, the demo's banner, the person's choices, the switcher and the bell."""

    def machines() -> list[Connection]:
        visible = Connection.objects.visible_to(request.user).filter(current_team.narrowed(request))
        return list(visible.only("pk", "name", "status", "reason").order_by("name")[:SWITCHER])

    def unread() -> int:
        return feed.unread(request.user.pk) if request.user.is_authenticated else 0

    def firing() -> int:
        return Alert.objects.visible_to(request.user).unattended().count()

    def reads_audit() -> bool:
        return request.user.is_authenticated and audit_query.may_read(caller_from_page(request))

    return {
        "version": settings.VERSION,
        "demo": settings.DEMO,
        "sends_mail": sends_mail(),
        "build": version.build,
        "preference": SimpleLazyObject(lambda: preferences.of(request.user)),
        "switcher": SimpleLazyObject(machines),
        "firing_alerts": SimpleLazyObject(firing),
        "unread_notifications": SimpleLazyObject(unread),
        "team_choices": SimpleLazyObject(lambda: current_team.teams_of(request.user)),
        "chosen_team": SimpleLazyObject(lambda: current_team.chosen(request)),
        "may_read_audit": SimpleLazyObject(reads_audit),
    }
