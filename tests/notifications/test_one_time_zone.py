"""The zone that somebody chose for the quiet hours survives the move to one zone per person."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import Preference, User
from tests import factories

BEFORE, AFTER = ("notifications", "0001_initial"), ("notifications", "0002_one_time_zone")


@pytest.fixture
def old_schema(transactional_db: None) -> Iterator[MigrationExecutor]:
    executor = MigrationExecutor(connection)
    newest = executor.loader.graph.leaf_nodes()
    executor.migrate([BEFORE])
    yield executor
    MigrationExecutor(connection).migrate(newest)


def test_a_zone_that_was_chosen_for_the_quiet_hours_is_the_persons_own(
    old_schema: MigrationExecutor,
) -> None:
    old = old_schema.loader.project_state([BEFORE]).apps
    wanted = {"first": "Europe/Berlin", "undecided": "Asia/Kolkata", "decided": "Asia/Tokyo"}
    for name, zone in wanted.items():
        user = factories.make_user(name)
        quiet = old.get_model("notifications", "QuietHours")
        quiet.objects.create(user_id=user.pk, time_zone=zone, starts="22:00", ends="07:00")
    Preference.objects.create(user=User.objects.get(username="undecided"), density="compact")
    Preference.objects.create(user=User.objects.get(username="decided"), time_zone="Europe/Paris")
    MigrationExecutor(connection).migrate([AFTER])
    zones = dict(Preference.objects.values_list("user__username", "time_zone"))
    assert zones == wanted | {"decided": "Europe/Paris"}
