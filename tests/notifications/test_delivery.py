"""From the queue to real receivers: signatures, retries, claims and deaths."""

import hashlib
import hmac
import json
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from core.security import address_policy
from notifications.channels import webhooks
from notifications.delivery import sender
from notifications.events import notify
from notifications.models import Delivery, DeliveryStatus, Event
from tests.notifications.conftest import Crew, make_channel
from tests.notifications.receivers import MailServer, WebServer

pytestmark = pytest.mark.usefixtures("loopback")


def told(crew: Crew, **fields: str) -> Event:
    event = notify(
        crew.team,
        "unreachable",
        "spark is out of reach",
        "for 10 minutes",
        link="/machines/x/",
        data={"connection": {"name": "spark"}},
    )
    assert event is not None
    return event


def to_channel() -> Delivery:
    """The one delivery to a channel; there may be letters about it, too."""
    return Delivery.objects.get(channel__isnull=False)


def run_at(seconds: float) -> None:
    """Let a worker look that many seconds from now."""
    while (row := sender.claim(timezone.now() + timedelta(seconds=seconds))) is not None:
        sender.work(row)


def test_a_webhook_that_fails_twice_gets_it_signed_the_third_time(
    crew: Crew, web: WebServer
) -> None:
    web.answer = lambda number: 503 if number < 3 else 204
    make_channel(crew.team, web.url("/hook?a=1"), secret="s3cret")
    event = told(crew)
    run_at(0)
    assert to_channel().status == DeliveryStatus.PENDING
    assert len(web.requests) == 1
    run_at(4)  # too early
    assert len(web.requests) == 1
    run_at(6)
    run_at(40)
    row = to_channel()
    assert (row.status, row.attempts, len(web.requests)) == (DeliveryStatus.SENT, 3, 3)
    assert [one.detail for one in row.tries.order_by("id")] == [
        "The receiver answered 503.",
        "The receiver answered 503.",
        "The receiver answered 204.",
    ]
    for request in web.requests:
        assert request.path == "/hook?a=1"
        assert request.headers["X-DGX-Event-Id"] == str(event.pk)
        message = request.headers["X-DGX-Timestamp"].encode() + b"." + request.body
        digest = hmac.new(b"s3cret", message, hashlib.sha256).hexdigest()
        assert request.headers["X-DGX-Signature"] == f"sha256={digest}"
        assert json.loads(request.body)["title"] == "spark is out of reach"
        assert json.loads(request.body)["data"] == {"connection": {"name": "spark"}}


def test_a_redirect_is_not_followed(crew: Crew, web: WebServer) -> None:
    web.answer, web.location = lambda number: 302, web.url("/elsewhere")
    make_channel(crew.team, web.url())
    told(crew)
    run_at(0)
    row = to_channel()
    assert row.status == DeliveryStatus.FAILED
    assert [request.path for request in web.requests] == ["/hook"]


def test_a_channel_that_fails_for_good_is_told_to_administrators(
    crew: Crew, web: WebServer
) -> None:
    web.answer = lambda number: 410
    make_channel(crew.team, web.url())
    told(crew)
    told(crew)
    run_at(0)
    event = Event.objects.get(kind="channel_failed")
    assert [row.user for row in event.notifications.all()] == [crew.boss]


def test_after_the_last_try_it_has_failed(crew: Crew, web: WebServer) -> None:
    web.answer = lambda number: 500
    make_channel(crew.team, web.url())
    told(crew)
    for _ in range(20):
        run_at(10**6)
    assert len(web.requests) == len(sender.RETRY_SECONDS) + 1
    assert to_channel().status == DeliveryStatus.FAILED


def test_a_receiver_that_does_not_answer_costs_the_deadline(
    crew: Crew, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "DEADLINE_SECONDS", 0.3)
    web.may_answer.clear()
    make_channel(crew.team, web.url())
    told(crew)
    run_at(0)
    attempt = to_channel().tries.get()
    assert attempt.detail == "The receiver did not answer in time."
    assert attempt.duration_ms < 5000


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "169.254.169.254", "0.0.0.0", "localhost", "[::ffff:127.0.0.1]"]
)
def test_a_forbidden_address_is_refused_when_sending(
    crew: Crew, web: WebServer, settings: object, host: str
) -> None:
    settings.ALLOW_LOOPBACK = False  # type: ignore[attr-defined]
    make_channel(crew.team, f"http://{host}:{web.port}/")
    told(crew)
    run_at(0)
    assert to_channel().status == DeliveryStatus.FAILED
    assert web.requests == []


def test_mail_bears_the_events_id(crew: Crew, mail: MailServer) -> None:
    event = notify(crew.team, "host_key_changed", "spark shows another key", "Compare it: ä")
    assert event is not None
    run_at(0)
    assert {letter.recipients[0] for letter in mail.letters} == {
        "boss@example.org",
        "operator@example.org",
        "viewer@example.org",
    }
    for letter in mail.letters:
        assert letter.message["Message-ID"].startswith(f"<{event.pk}@")
        assert letter.message["Subject"] == f"[{crew.team.name}] spark shows another key"
        body = letter.message.get_payload(decode=True)
        assert isinstance(body, bytes)
        assert "Compare it: ä" in body.decode()
    assert set(Delivery.objects.values_list("status", flat=True)) == {DeliveryStatus.SENT}


def test_mail_that_is_refused_for_now_is_sent_later(crew: Crew, mail: MailServer) -> None:
    mail.refusal = "450 come back later"
    notify(crew.team, "host_key_changed", "spark shows another key")
    run_at(0)
    assert set(Delivery.objects.values_list("status", flat=True)) == {DeliveryStatus.PENDING}
    mail.refusal = "550 never heard of"
    run_at(60)
    assert set(Delivery.objects.values_list("status", flat=True)) == {DeliveryStatus.FAILED}


def test_who_has_left_the_team_is_written_no_more(crew: Crew, mail: MailServer) -> None:
    notify(crew.team, "host_key_changed", "spark shows another key")
    crew.viewer.memberships.all().delete()
    crew.operator.is_active = False
    crew.operator.save()
    run_at(0)
    assert [letter.recipients for letter in mail.letters] == [["boss@example.org"]]
    dropped = Delivery.objects.filter(status=DeliveryStatus.DROPPED)
    assert {row.user for row in dropped} == {crew.viewer, crew.operator}


def test_two_workers_never_have_the_same_row(crew: Crew, web: WebServer) -> None:
    make_channel(crew.team, web.url())
    told(crew)
    assert sender.claim(timezone.now()) is not None
    assert sender.claim(timezone.now()) is None


def test_who_was_slower_than_the_claim_does_not_record(crew: Crew, web: WebServer) -> None:
    make_channel(crew.team, web.url())
    told(crew)
    slow = sender.claim(timezone.now())
    assert slow is not None
    quick = sender.claim(timezone.now() + timedelta(seconds=sender.CLAIM_SECONDS + 1))
    assert quick is not None
    web.answer = lambda number: 410
    sender.work(slow)
    assert to_channel().status == DeliveryStatus.SENDING
    web.answer = lambda number: 200
    sender.work(quick)
    assert to_channel().status == DeliveryStatus.SENT


def test_mattermost_gets_its_documented_payload(crew: Crew, web: WebServer) -> None:
    """https://developers.mattermost.com/integrate/webhooks/incoming/: POST /hooks/TOKEN, `text`."""
    token = "abcdefghijklmnopqrstuvwxyz"
    make_channel(crew.team, f"mmost://127.0.0.1:{web.port}/{token}", kind="apprise")
    told(crew)
    run_at(0)
    (request,) = web.requests
    assert request.path == f"/hooks/{token}"
    assert request.headers["Content-Type"] == "application/json"
    text = json.loads(request.body)["text"]
    assert "spark is out of reach" in text
    assert "for 10 minutes" in text
    assert to_channel().status == DeliveryStatus.SENT


def test_a_chat_service_reaches_no_forbidden_address(
    crew: Crew, web: WebServer, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the first look was deceived: the connection itself is judged."""
    settings.ALLOW_LOOPBACK = False  # type: ignore[attr-defined]
    monkeypatch.setattr(address_policy, "pin", lambda host, port: "192.0.2.1")
    make_channel(crew.team, f"ntfy://127.0.0.1:{web.port}/topic", kind="apprise")
    told(crew)
    run_at(0)
    row = to_channel()
    assert (row.status, row.detail) == (
        DeliveryStatus.FAILED,
        "Loopback addresses are not allowed.",
    )
    assert web.requests == []


def test_a_chat_service_that_redirects_to_a_forbidden_address_is_stopped(
    crew: Crew, web: WebServer
) -> None:
    web.answer, web.location = lambda number: 307, "http://169.254.169.254/latest/"
    make_channel(crew.team, f"mmost://127.0.0.1:{web.port}/abcdefghijklmnop", kind="apprise")
    told(crew)
    run_at(0)
    row = to_channel()
    assert row.status == DeliveryStatus.FAILED
    assert "not allowed" in row.detail


def test_a_failed_chat_message_tells_no_token(crew: Crew, web: WebServer) -> None:
    web.answer = lambda number: 404
    token = "abcdefghijklmnopqrstuvwxyz"
    make_channel(crew.team, f"mmost://127.0.0.1:{web.port}/{token}", kind="apprise")
    told(crew)
    run_at(0)
    detail = to_channel().detail
    assert "404" in detail
    assert token not in detail


def test_ids_are_the_same_for_every_way(crew: Crew, web: WebServer, mail: MailServer) -> None:
    make_channel(crew.team, web.url())
    event = notify(crew.team, "host_key_changed", "spark shows another key")
    assert event is not None
    run_at(0)
    ids = {UUID(web.requests[0].headers["X-DGX-Event-Id"])}
    ids |= {UUID(letter.message["Message-ID"][1:37]) for letter in mail.letters}
    assert ids == {event.pk}
