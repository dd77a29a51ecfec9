"""Who is told, by which way, and what is dropped."""

from datetime import UTC, datetime, time

import pytest
from django.db import transaction

from accounts.models import Preference, Role, User
from notifications import preferences, recipients
from notifications.events import notify
from notifications.kinds import BY_NAME, KINDS, Way
from notifications.models import Choice, Delivery, Event, Notification, QuietHours
from tests import factories
from tests.notifications.conftest import Crew, make_channel

NIGHT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)


def told(event: Event | None) -> set[str]:
    assert event is not None
    return {row.user.email for row in event.notifications.select_related("user")}


def addressed(event: Event | None) -> set[str]:
    assert event is not None
    return {
        row.user.email for row in event.deliveries.select_related("user") if row.user is not None
    }


def test_members_with_the_role_are_told_and_nobody_else(crew: Crew) -> None:
    everybody = notify(crew.team, "unreachable", "spark is out of reach")
    assert told(everybody) == {"boss@example.org", "operator@example.org", "viewer@example.org"}
    operators = notify(crew.team, "auth_failed", "spark refuses the login")
    assert told(operators) == {"boss@example.org", "operator@example.org"}


def test_a_superuser_is_told_and_an_inactive_member_is_not(crew: Crew) -> None:
    factories.make_user(email="root@example.org", is_superuser=True)
    crew.operator.is_active = False
    crew.operator.save()
    event = notify(crew.team, "auth_failed", "spark refuses the login")
    assert told(event) == {"boss@example.org", "root@example.org"}


def test_the_same_key_is_told_once(crew: Crew) -> None:
    first = notify(crew.team, "unreachable", "first", dedupe_key="down:1")
    assert first is not None
    assert notify(crew.team, "unreachable", "second", dedupe_key="down:1") is None
    assert notify(factories.make_team(), "unreachable", "another team's", dedupe_key="down:1")
    assert Notification.objects.filter(event__team=crew.team).count() == 3


def test_what_is_not_committed_is_not_told(crew: Crew) -> None:
    with transaction.atomic():
        notify(crew.team, "unreachable", "never mind")
        transaction.set_rollback(True)
    assert not Event.objects.exists()


def test_a_choice_opens_and_closes_a_way(crew: Crew, mail: object) -> None:
    preferences.choose(
        crew.viewer, {("unreachable", Way.PAGE): False, ("unreachable", Way.EMAIL): True}
    )
    event = notify(crew.team, "unreachable", "spark is out of reach")
    assert told(event) == {"boss@example.org", "operator@example.org"}
    assert addressed(event) == {"viewer@example.org"}


def test_choosing_again_replaces_the_choice(crew: Crew) -> None:
    for wanted in (False, True):
        preferences.choose(crew.viewer, {("unreachable", Way.PAGE): wanted})
    assert Choice.objects.get(user=crew.viewer).wanted is True


def test_a_way_that_is_not_open_cannot_be_chosen(crew: Crew) -> None:
    preferences.choose(crew.boss, {("channel_failed", Way.CHANNEL): True})
    assert not Choice.objects.exists()
    make_channel(crew.team, "https://hook.example.org/")
    assert recipients.channels(crew.team, BY_NAME["channel_failed"]) == []


def test_without_a_mail_server_no_mail_waits(crew: Crew, settings: object) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"  # type: ignore[attr-defined]
    event = notify(crew.team, "host_key_changed", "another key")
    assert addressed(event) == set()
    assert len(told(event)) == 3


def test_what_is_for_one_person_reaches_nobody_else(crew: Crew) -> None:
    make_channel(crew.team, "https://example.org/hook")
    event = notify(crew.team, "unreachable", "spark is free", only=crew.viewer)
    assert told(event) == {"viewer@example.org"}
    assert event is not None
    assert not event.deliveries.filter(channel__isnull=False).exists()


def test_a_channel_gets_the_kinds_it_takes(crew: Crew) -> None:
    channel = make_channel(crew.team, "https://hook.example.org/")
    make_channel(factories.make_team(), "https://elsewhere.example.org/")
    Choice.objects.create(channel=channel, kind="recovered", way=Way.CHANNEL, wanted=False)
    notify(crew.team, "recovered", "spark is back")
    notify(crew.team, "unreachable", "spark is out of reach")
    assert [row.event.kind for row in Delivery.objects.all()] == ["unreachable"]


def test_texts_of_machines_are_cut_and_cleaned(crew: Crew) -> None:
    event = notify(
        crew.team, "unreachable", "a\r\nBcc: all@example.org\x00" + "x" * 500, "b\x1b[2J"
    )
    assert event is not None
    assert event.title.startswith("a  Bcc: all@example.org xxx")
    assert len(event.title) == 200
    assert event.body == "b [2J"


@pytest.mark.parametrize(
    ("starts", "ends", "zone", "until"),
    [
        (time(22), time(7), "UTC", datetime(2026, 11, 21, 7, tzinfo=UTC)),
        (time(22), time(7), "Europe/Berlin", datetime(2026, 11, 21, 6, tzinfo=UTC)),
        (time(0), time(1), "Europe/Berlin", datetime(2026, 11, 21, 0, tzinfo=UTC)),
        (time(23, 30), time(23, 31), "UTC", datetime(2026, 11, 20, 23, 31, tzinfo=UTC)),
        (time(8), time(17), "UTC", None),
        (time(22), time(7), "America/Los_Angeles", None),
        (time(5), time(5), "UTC", None),
    ],
)
def test_quiet_hours_end_in_the_persons_own_zone(
    starts: time, ends: time, zone: str, until: datetime | None
) -> None:
    person = User()
    person.preference = Preference(user=person, time_zone=zone)
    hours = QuietHours(user=person, starts=starts, ends=ends)
    assert recipients.end_of(hours, NIGHT) == until


def test_in_quiet_hours_mail_waits_and_the_page_counts(
    crew: Crew, mail: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    preferences.set_quiet_hours(crew.boss, time(22), time(7))
    monkeypatch.setattr("django.utils.timezone.now", lambda: NIGHT)
    event = notify(crew.team, "host_key_changed", "another key")
    assert event is not None
    waits = {row.user_id: row.due_at for row in event.deliveries.all()}
    assert waits[crew.boss.pk] == datetime(2026, 11, 21, 7, tzinfo=UTC)
    assert waits[crew.viewer.pk] == NIGHT
    assert "boss@example.org" in told(event)


def test_every_kind_but_a_start_reaches_somebody_by_default() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        assert kind.wanted <= kind.ways
        assert (Way.PAGE in kind.wanted) == (kind.name != "job_started")
        assert kind.least in Role.values
