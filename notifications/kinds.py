"""What the site may tell somebody about: a table with one line per kind.

A new kind is one line here and one call of `events.notify`.
"""

from dataclasses import dataclass

from django.db import models

from accounts.models import Role


class Severity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Way(models.TextChoices):
    """How an event reaches somebody: people by page and e-mail, a team by its channels."""

    PAGE = "page"
    EMAIL = "email"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the table.

    `least` is the role from which a member hears of it; `ways` are those that are open at all, and
    `wanted` those of them that are on until somebody chooses otherwise.
    """

    name: str
    title: str
    severity: Severity
    least: Role = Role.VIEWER
    ways: frozenset[Way] = frozenset(Way)
    wanted: frozenset[Way] = frozenset({Way.PAGE, Way.CHANNEL})


_ALL = frozenset(Way)
_PEOPLE = frozenset({Way.PAGE, Way.EMAIL})

KINDS: tuple[Kind, ...] = (
    Kind("host_key_changed", "A machine shows another host key", Severity.CRITICAL, wanted=_ALL),
    Kind("auth_failed", "A machine refuses the login", Severity.WARNING, Role.OPERATOR),
    Kind("unreachable", "A machine stays out of reach", Severity.WARNING),
    Kind("recovered", "A machine is back", Severity.INFO),
    Kind("alert_firing", "An alert rule rings", Severity.WARNING),
    Kind("alert_resolved", "What an alert rang for is over", Severity.INFO),
    Kind(
        "export_failed",
        "A scheduled export does not reach its place",
        Severity.WARNING,
        Role.OPERATOR,
    ),
    # Most people only want to hear how it went.
    Kind("job_started", "A job starts", Severity.INFO, wanted=frozenset()),
    Kind("job_finished", "A job is done", Severity.INFO),
    Kind("job_failed", "A job fails", Severity.WARNING),
    # For the one person who wished it.
    Kind(
        "gpu_free", "A GPU that you wait for is free", Severity.INFO, ways=_PEOPLE, wanted=_PEOPLE
    ),
    Kind("job_stuck", "A job may be stuck", Severity.WARNING),
    Kind("job_too_long", "A job takes too long", Severity.WARNING),
    # By no channel: what tells of a broken channel must not need one.
    Kind(
        "channel_failed",
        "A channel does not deliver",
        Severity.WARNING,
        Role.ADMINISTRATOR,
        ways=_PEOPLE,
        wanted=_PEOPLE,
    ),
)
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}
# What a test of a channel bears in place of one of the above.
TEST = "test"
