"""The whole way: an event here, a real Celery worker in another process, a receiver."""

import pytest

from notifications.events import notify
from notifications.models import Delivery, DeliveryStatus
from tests import factories
from tests.notifications.conftest import make_channel
from tests.notifications.receivers import WebServer
from tests.test_celery import START_SECONDS, celery
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]


def test_a_worker_is_woken_and_sends(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGX_ALLOW_LOOPBACK", "1")
    team = factories.make_team()
    make_channel(team, web.url(), secret="s3cret")
    with celery("worker", "-P", "threads", "-c", "2", "-Q", "celery"):
        event = notify(team, "unreachable", "spark is out of reach")
        assert event is not None
        until(
            lambda: Delivery.objects.filter(status=DeliveryStatus.SENT).exists(),
            seconds=START_SECONDS,
        )
    assert [one.headers["X-DGX-Event-Id"] for one in web.requests] == [str(event.pk)]
