"""The time zones of a person's pages."""

import zoneinfo

import pytest
from django.test import Client

from accounts import preferences
from tests import factories


@pytest.mark.django_db
def test_no_page_walks_through_the_machines_time_zones(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preferences.zone_names() == zoneinfo.available_timezones()
    client.force_login(factories.make_user())
    walks: list[bool] = []
    monkeypatch.setattr(preferences, "available_timezones", lambda: walks.append(True))
    for path in ("/", "/account/settings"):
        assert client.get(path).status_code == 200
    assert walks == []
