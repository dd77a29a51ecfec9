"""The site behind a proxy that ends TLS: pages, cookies and sockets are all secure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from dgxsite.http import proxies
from tests.browser import scenes, tls
from tests.browser.conftest import Fleet, Visitor

# What `DGX_BASE_URL=https://…` sets, where the tests' own settings were read without it.
BEHIND_TLS = {
    "TRUSTED_PROXIES": proxies.networks(["127.0.0.1"]),
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "SESSION_COOKIE_NAME": "__Host-sessionid",
    "CSRF_COOKIE_NAME": "__Host-csrftoken",
}


@pytest.fixture
def secure_site(site: str, settings: Any, tmp_path: Path) -> Iterator[str]:
    port = urlsplit(site).port
    assert port is not None
    with tls.in_front_of(port, tmp_path) as address:
        for name, value in (BEHIND_TLS | {"BASE_URL": address}).items():
            setattr(settings, name, value)
        yield address


def test_pages_cookies_and_sockets_are_secure(
    secure_site: str, browser: Browser, fleet: Fleet
) -> None:
    spark = fleet.add("Spark")
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(10_000)
    visitor = Visitor(secure_site, context, context.new_page())
    sockets: list[str] = []
    visitor.page.on("websocket", lambda socket: sockets.append(socket.url))
    page = visitor.log_in("boss")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    fleet.record(spark, scenes.spark())
    expect(page.locator("[data-v=gpu]").first).not_to_have_text("—")
    assert sockets
    assert {urlsplit(url).scheme for url in sockets} == {"wss"}
    cookies = {cookie["name"]: cookie["secure"] for cookie in context.cookies()}
    assert cookies == {"__Host-sessionid": True, "__Host-csrftoken": True}
    context.close()
