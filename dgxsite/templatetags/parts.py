"""For the admin's start page: what `GET /api/health` says, within its three seconds."""

from django import template

from dgxsite import health

register = template.Library()


@register.simple_tag
def health_of_parts() -> health.Answers:
    """The state of each part by its name, `"ok"` or a sentence."""
    return health.ask_all()
