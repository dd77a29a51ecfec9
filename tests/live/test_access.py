"""Where a handshake may come from."""

from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async

from accounts.audit import denials
from accounts.models import AuditEvent
from dgxsite.sockets.access import is_welcome
from dgxsite.sockets.consumers import NO_LOGIN
from dgxsite.sockets.revalidate import REFUSALS_AT_ONCE
from tests.live.people import Client, with_session

COOKIE = (b"cookie", b"sessionid=x")
TOKEN = (b"authorization", b"Bearer x")

# Host, other headers, whether it is welcome. ALLOWED_HOSTS: testserver, localhost, 127.0.0.1.
CASES = [
    ("testserver", [(b"origin", b"http://testserver")], True),
    ("testserver", [(b"origin", b"https://testserver")], True),
    ("testserver:8000", [(b"origin", b"http://testserver:8000"), COOKIE], True),
    ("localhost:8000", [(b"origin", b"http://127.0.0.1:8000")], True),
    ("TestServer:8000", [(b"origin", b"http://testserver:8000")], True),
    ("testserver", [], True),
    ("testserver", [TOKEN], True),
    ("testserver", [TOKEN, COOKIE], True),
    ("testserver", [COOKIE], False),
    ("testserver", [(b"origin", b"https://evil.example"), COOKIE], False),
    ("testserver", [(b"origin", b"https://evil.example"), TOKEN], False),
    ("testserver", [(b"origin", b"null"), COOKIE], False),
    ("testserver", [(b"origin", b""), COOKIE], False),
    ("testserver", [(b"origin", b"http://testserver.evil.example")], False),
    ("testserver", [(b"origin", b"http://evil-testserver")], False),
    ("testserver", [(b"origin", b"http://testserver@evil.example")], False),
    ("testserver", [(b"origin", b"http://evil.example@testserver")], False),
    ("testserver", [(b"origin", b"http://testserver#evil.example")], False),
    ("testserver", [(b"origin", b"http://testserver/")], False),
    ("testserver", [(b"origin", b"http://test\tserver")], False),
    ("testserver", [(b"origin", b"http://testserver:port")], False),
    ("testserver", [(b"origin", b"http://testserver:99999")], False),
    ("testserver", [(b"origin", b"http://[testserver")], False),
    ("testserver", [(b"origin", b"file://testserver")], False),
    ("testserver", [(b"origin", b"testserver")], False),
    ("testserver", [(b"origin", b"http://t\xebstserver")], False),
    ("testserver:8000", [(b"origin", b"http://testserver:3000"), COOKIE], False),
    ("testserver:8000", [(b"origin", b"http://testserver"), COOKIE], False),
    ("evil.example", [(b"origin", b"http://evil.example")], False),
    ("evil.example", [TOKEN], False),
    ("", [], False),
    ("testserver", [(b"origin", b"http://testserver"), (b"origin", b"http://evil.example")], False),
]


@pytest.mark.parametrize(("host", "headers", "expected"), CASES)
def test_only_our_own_pages_and_programs_are_welcome(host, headers, expected):
    scope = {"headers": [(b"host", host.encode()), *headers]}
    assert is_welcome(scope) is expected


def test_the_public_address_is_welcome_behind_a_proxy_that_renames(settings):
    settings.BASE_URL = "https://dgx.example"
    headers = [(b"host", b"localhost:8000"), (b"origin", b"https://dgx.example"), COOKIE]
    assert is_welcome({"headers": headers})
    headers[1] = (b"origin", b"http://dgx.example")
    assert not is_welcome({"headers": headers})


@pytest.mark.django_db(transaction=True)
async def test_an_unwelcome_handshake_and_an_unknown_address_are_refused():
    host = (b"host", b"testserver")
    foreign = Client([host, (b"origin", b"http://evil.example")])
    assert await foreign.open() == "websocket.close"
    assert await Client([host], "/ws/").open() == "websocket.close"
    assert await Client([host], "/ws/live/../../x").open() == "websocket.close"


@pytest.mark.django_db(transaction=True)
async def test_refused_handshakes_are_one_row_of_the_audit():
    host = (b"host", b"testserver")
    foreign = [host, (b"origin", b"http://evil.example")]
    for _ in range(3):
        assert await Client(foreign, peer="192.0.2.7").open() == "websocket.close"
    bad = Client([host, (b"authorization", b"Bearer dgx_" + b"x" * 43)], peer="192.0.2.8")
    await bad.open()
    assert await bad.closed_with() == NO_LOGIN
    assert await sync_to_async(noted)() == [
        ("192.0.2.7", 3, {"method": "WEBSOCKET", "route": "/ws/live/", "status": 403}),
        ("192.0.2.8", 1, {"method": "WEBSOCKET", "route": "/ws/live/", "status": 401}),
    ]


@pytest.mark.django_db(transaction=True)
async def test_a_flood_of_refused_handshakes_asks_the_database_a_few_times_only():
    foreign = [(b"host", b"testserver"), (b"origin", b"http://evil.example")]
    for _ in range(60):
        assert await Client(foreign, peer="192.0.2.7").open() == "websocket.close"
    assert await Client(foreign, peer="198.51.100.9").open() == "websocket.close"
    counts = {address: count for address, count, _ in await sync_to_async(noted)()}
    assert counts["198.51.100.9"] == 1
    assert REFUSALS_AT_ONCE <= counts["192.0.2.7"] < 60


@pytest.mark.django_db(transaction=True)
async def test_a_page_whose_login_has_ended_is_no_refusal():
    ended = Client(with_session("no-such-session"))
    await ended.open()
    assert await ended.closed_with() == NO_LOGIN
    assert await sync_to_async(noted)() == []


def noted() -> list[tuple[str | None, int, dict[str, object]]]:
    """The audit rows, as if the minute were over."""
    denials.write_down(datetime.now(UTC) + timedelta(minutes=2))
    rows = AuditEvent.objects.order_by("address")
    return [(row.address, row.detail["count"], row.detail["first"]) for row in rows]
