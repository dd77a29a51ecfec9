"""What fires on a machine, on the pages of the apps below."""

from typing import Any

from django import template

from accounts.auth.callers import caller_from_page
from alerts.board import machine_context
from connections.models import Connection

register = template.Library()


@register.inclusion_tag("alerts/_machine.html", takes_context=True)
def machine_alerts(context: Any, connection: Connection) -> dict[str, Any]:
    """The alerts of one machine, and how long its memory lasts."""
    request = context["request"]
    return machine_context(caller_from_page(request), connection.pk)
