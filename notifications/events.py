"""`notify`: the one function with which every other part of the site speaks to people.

The event, the lines in people's lists and the deliveries are written in one transaction, the
caller's if there is one: what is not committed has not happened and is not told. What follows the
commit, the push to the browsers and the start of a worker, are hints; a lost one costs seconds.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from accounts.models import Team, User
from core import cleaner
from core.background.wakeup import WORKERS, Wakeup
from core.mail import sends_mail
from notifications import feed, recipients
from notifications.kinds import BY_NAME, Kind, Severity, Way
from notifications.models import Channel, Delivery, Event, Notification

_TITLE, _BODY, _LINK, _KEY = 200, 1000, 300, 200

wake_workers = Wakeup("notifications.deliver", WORKERS, show=feed.push_events)


def notify(
    team: Team,
    kind: str,
    title: str,
    body: str = "",
    *,
    link: str = "",
    severity: Severity | None = None,
    subject: models.Model | None = None,
    dedupe_key: str = "",
    channels: Sequence[Channel] = (),
    only: User | None = None,
    data: Mapping[str, Any] | None = None,
) -> Event | None:
    """Tell who wants to know; None if an event with this `dedupe_key` is already there.

    `link` is a path of this site, `subject` the row it is about. With `channels` it goes to these,
    whatever they take otherwise; with `only` to that person and to no channel. `data` says the same
    to programs, in the API's words. Texts may come from a machine: they are cut and lose their
    control characters. Raises `KeyError` for a kind that the table does not have, and what the
    database raises.
    """
    line = BY_NAME[kind]
    is_ours = link.startswith("/") and not link.startswith(("//", "/\\"))
    assert not link or is_ours, "a link leads to a page of this site"
    event = Event(
        team=team,
        kind=kind,
        severity=severity or line.severity,
        title=_cut(cleaner.line(title, 2 * _TITLE).strip(), _TITLE),
        body=_cut(cleaner.text(body, 2 * _BODY).strip(), _BODY),
        link=cleaner.line(link, _LINK),
        object_type=subject._meta.label_lower if subject is not None else "",
        object_id=str(subject.pk) if subject is not None else "",
        data=cleaner.values(data or {}, _BODY),
        dedupe_key=cleaner.line(dedupe_key, _KEY),
    )
    try:
        with transaction.atomic():
            event.save(force_insert=True)
            _address(event, line, channels, only, timezone.now())
    except IntegrityError as error:
        if "one_event_per_dedupe_key" not in str(error):
            raise
        return None
    transaction.on_commit(lambda: wake_workers([event.pk]))
    return event


def close_the_way(team: Team, subject: models.Model) -> None:
    """The team keeps what it was told of `subject`, but its page is no longer theirs to open."""
    about = {"object_type": subject._meta.label_lower, "object_id": str(subject.pk)}
    Event.objects.filter(team=team, **about).exclude(link="").update(link="")


def _address(
    event: Event, kind: Kind, channels: Sequence[Channel], only: User | None, now: datetime
) -> None:
    people = [one for one in recipients.people(event.team, kind) if only in (None, one.user)]
    Notification.objects.bulk_create(
        Notification(event=event, user=one.user) for one in people if Way.PAGE in one.ways
    )
    mailed = [one.user for one in people if Way.EMAIL in one.ways and one.user.email]
    quiet = recipients.quiet_ends((user.pk for user in mailed), now)
    letters = [
        Delivery(event=event, user=user, due_at=quiet.get(user.pk, now))
        for user in (mailed if sends_mail() else [])  # nothing waits for a server that is not there
    ]
    posts = [
        Delivery(event=event, channel=channel, due_at=now)
        for channel in channels or ([] if only else recipients.channels(event.team, kind))
    ]
    Delivery.objects.bulk_create([*letters, *posts])


def _cut(text: str, length: int) -> str:
    """`text` of at most `length` characters, which shows where it was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"
