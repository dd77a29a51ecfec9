"""Who called, as proxies tell it; the headers of anybody else are nothing."""

import logging
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from dgxsite.http import proxies

OURS = proxies.networks(["10.0.0.0/24", "127.0.0.1", "fd00::/64"])


def scope(peer: str, *headers: tuple[str, str], kind: str = "http") -> dict[str, Any]:
    return {
        "type": kind,
        "scheme": "http" if kind == "http" else "ws",
        "client": (peer, 4711),
        "headers": [(b"host", b"a.example"), *((n.encode(), v.encode()) for n, v in headers)],
    }


@pytest.mark.parametrize(
    ("said", "caller"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["203.0.113.9, 192.0.2.7"], "192.0.2.7"),  # the left one is the client's own invention
        (["203.0.113.9", "192.0.2.7, 10.0.0.2"], "192.0.2.7"),  # two proxies of ours
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # one of ours called itself
        (["192.0.2.7:5123"], "192.0.2.7"),
        (["[2001:db8::1]:5123"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["unknown"], "10.0.0.1"),
        (["192.0.2.7, nonsense"], "10.0.0.1"),
        (["192.0.2.7, nonsense, 10.0.0.2"], "10.0.0.2"),
        ([""], "10.0.0.1"),
        (["\x00", "9" * 5000], "10.0.0.1"),
    ],
)
def test_the_last_hop_that_is_no_proxy_of_ours_is_the_caller(said: list[str], caller: str) -> None:
    headers = [("x-forwarded-for", text) for text in said]
    told = proxies.as_told(scope("10.0.0.1", *headers), OURS)
    assert told is not None
    assert told["client"][0] == caller


@pytest.mark.parametrize("peer", ["192.0.2.7", "10.0.1.1", "::1", "not-an-address"])
def test_the_word_of_a_stranger_is_nothing(peer: str) -> None:
    forged = [("x-forwarded-for", "10.0.0.1"), ("x-forwarded-proto", "https")]
    assert proxies.as_told(scope(peer, *forged), OURS) is None
    assert proxies.as_told(scope("127.0.0.1", *forged), ()) is None


def test_scheme_and_host_come_from_the_nearest_proxy() -> None:
    said = [("x-forwarded-proto", "http, https"), ("x-forwarded-host", "b.example")]
    told = proxies.as_told(scope("10.0.0.1", *said), OURS)
    assert told is not None
    assert told["scheme"] == "https"
    assert [value for name, value in told["headers"] if name == b"host"] == [b"b.example"]
    socket = proxies.as_told(scope("10.0.0.1", *said, kind="websocket"), OURS)
    assert socket is not None
    assert socket["scheme"] == "wss"


@pytest.mark.parametrize("host", ["", "a b", "a/../b", "x" * 300, "a\x00"])
def test_a_host_that_is_none_stays_what_it_was(host: str) -> None:
    told = proxies.as_told(scope("10.0.0.1", ("x-forwarded-host", host)), OURS)
    assert told is not None
    assert (b"host", b"a.example") in told["headers"]


def test_the_original_scope_stays_as_it_is() -> None:
    before = scope("10.0.0.1", ("x-forwarded-for", "192.0.2.7"))
    proxies.as_told(before, OURS)
    assert before["client"] == ("10.0.0.1", 4711)


@pytest.mark.parametrize("text", ["nonsense", "10.0.0.1/24", "*", "10.0.0.0/99"])
def test_what_is_no_network_stops_the_start(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DGX_TRUSTED_PROXIES"):
        proxies.networks([text])


async def test_a_proxy_that_was_forgotten_is_told_once(
    caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = OURS
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])

    site = proxies.BehindProxies(app)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await site(scope("192.0.2.9", ("x-forwarded-for", "192.0.2.7")), None, None)
    assert seen == ["192.0.2.9"] * 3
    assert caplog.text.count("is no trusted proxy") == 1
