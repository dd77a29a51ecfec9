"""A real nginx, configured as docs/behind-a-proxy.md says, in front of the real web server."""

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import websockets
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.cache import cache
from requests.adapters import HTTPAdapter

from accounts.models import AuditEvent, Refusal, User
from dgxsite.up import children
from dgxsite.up.programs import WEB_OPTIONS
from tests import factories
from tests.browser.tls import _certificate
from tests.metrics.private import psycopg_address
from tests.programs import require_program
from tests.waiting import until

_HASHER = Argon2PasswordHasher()

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENT = Path(__file__).parents[2] / "docs" / "behind-a-proxy.md"
_PROCESS = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""


@dataclass(frozen=True)
class Place:
    """Where the proxy is, where the site itself is, and the proxy's certificate."""

    port: int
    bare_port: int
    certificate: Path

    @property
    def address(self) -> str:
        return f"https://localhost:{self.port}"


class From(HTTPAdapter):
    """Calls from another address of this machine."""

    def __init__(self, source: str) -> None:
        self._source = source
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._source, 0), **kwargs)


@pytest.fixture(autouse=True)
def _no_limits_left_over() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[Place]:
    nginx = require_program("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    tmp_path = tmp_path_factory.mktemp("nginx")
    found = Place(_free_port(), _free_port(), _certificate(tmp_path))
    with django_db_blocker.unblock():
        address = psycopg_address()
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "dgxsite.settings",
        "DATABASE_URL": address,
        "REDIS_URL": settings.REDIS_URL,
        "DGX_BASE_URL": found.address,
        "DGX_TRUSTED_PROXIES": "127.0.0.1",
        "PYTHONWARNINGS": "ignore",
    }
    argv = [sys.executable, "-m", "uvicorn", "dgxsite.asgi:application"]
    argv += ["--host", "127.0.0.1", "--port", str(found.bare_port), *WEB_OPTIONS]
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(_configuration(found, tmp_path))
    running = [
        _start(argv, environment),
        _start([nginx, "-p", str(tmp_path), "-c", str(configuration)], dict(os.environ)),
    ]
    for port in (found.bare_port, found.port):
        until(partial(_listens, port), seconds=120)
    yield found
    for process in running:
        children.stop(process, signal.SIGTERM, 10)


def _configuration(place: Place, folder: Path) -> str:
    """What the document says, with the ports and the certificate of here."""
    block = re.search(r"```nginx\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    servers = block[1]
    for name, value in (
        ("listen 443 ssl", f"listen 127.0.0.1:{place.port} ssl"),
        ("server_name dgx.example.org", "server_name localhost"),
        ("/etc/ssl/dgx.example.org.pem", str(place.certificate)),
        ("/etc/ssl/dgx.example.org.key", str(place.certificate)),
        ("127.0.0.1:8000", f"127.0.0.1:{place.bare_port}"),
    ):
        assert servers.count(name) == 1, name
        servers = servers.replace(name, value)
    return _PROCESS.format(folder=folder, servers=servers)


def _start(argv: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return children.start(
        argv, death_signal=signal.SIGKILL, env=environment, output=subprocess.DEVNULL
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _make_person() -> User:
    """Somebody whose password the product's own settings can check."""
    user = factories.make_user("ada")
    user.password = _HASHER.encode("password", _HASHER.salt())
    user.save()
    return user


def _browser(place: Place, source: str) -> requests.Session:
    browser = requests.Session()
    browser.verify = str(place.certificate)
    browser.trust_env = False  # a list of authorities from there would take the place of ours
    browser.mount("https://", From(source))
    browser.mount("http://", From(source))
    return browser


def _log_in(
    browser: requests.Session, address: str, name: str, password: str, **headers: str
) -> Any:
    """The answer to the form, sent as a browser would, with forged headers if some are given."""
    page = browser.get(f"{address}/accounts/login/", headers=headers, timeout=60)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token is not None, page.text[:500]
    fields = {"login": name, "password": password, "csrfmiddlewaretoken": token[1]}
    sent = headers | {"Referer": f"{address}/accounts/login/", "Origin": address}
    return browser.post(
        f"{address}/accounts/login/", fields, headers=sent, timeout=60, allow_redirects=False
    )


def test_two_clients_of_one_proxy_are_two_callers(place: Place) -> None:
    """Locked apart, named apart in the audit, whatever they write into the header."""
    _make_person()
    forger = _browser(place, "127.0.0.2")
    for number in range(6):
        forged = {"X-Forwarded-For": f"203.0.113.{number}", "X-Forwarded-Host": "evil.example"}
        answer = _log_in(forger, place.address, "ada", "wrong", **forged)
    assert "Too many wrong attempts" in answer.text
    failures = Refusal.objects.filter(action="login.failed")
    assert set(failures.values_list("address", flat=True)) == {"127.0.0.2"}

    other = _browser(place, "127.0.0.3")
    answer = _log_in(other, place.address, "ada", "password")
    assert answer.status_code == 302
    assert AuditEvent.objects.get(action="login").address == "127.0.0.3"
    assert {cookie.name for cookie in other.cookies} >= {"__Host-sessionid"}
    assert all(cookie.secure for cookie in other.cookies)


def test_who_goes_past_the_proxy_is_who_they_are(place: Place) -> None:
    """The forged scheme counts as little as the forged address."""
    bare = f"http://127.0.0.1:{place.bare_port}"
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    past = _browser(place, "127.0.0.4")
    answer = past.get(f"{bare}/accounts/login/", headers=forged, timeout=60)
    assert "Strict-Transport-Security" not in answer.headers
    answer = past.get(
        f"{bare}/api/v1/teams", headers=forged | {"Authorization": "Bearer dgx_no"}, timeout=60
    )
    assert answer.status_code == 401
    assert set(Refusal.objects.values_list("address", flat=True)) == {"127.0.0.4"}

    through = _browser(place, "127.0.0.4").get(f"{place.address}/accounts/login/", timeout=60)
    assert "max-age" in through.headers["Strict-Transport-Security"]


def test_sockets_come_through_with_their_origin(place: Place) -> None:
    factories.join(_make_person(), factories.make_team())
    browser = _browser(place, "127.0.0.2")
    assert _log_in(browser, place.address, "ada", "password").status_code == 302
    cookies = "; ".join(f"{one.name}={one.value}" for one in browser.cookies)
    trust = ssl.create_default_context(cafile=str(place.certificate))

    async def shake_hands(origin: str) -> bool:
        address = f"wss://localhost:{place.port}/ws/live/"
        try:
            async with websockets.connect(
                address,
                ssl=trust,
                origin=websockets.Origin(origin),
                additional_headers={"Cookie": cookies},
                local_addr=("127.0.0.5", 0),
            ) as opened:
                await opened.send('{"action": "subscribe", "topics": []}')
                return True
        except websockets.exceptions.InvalidStatus:
            return False

    assert asyncio.run(shake_hands(place.address))
    assert not asyncio.run(shake_hands("https://evil.example"))
    refused = Refusal.objects.filter(action="access.refused")
    assert set(refused.values_list("address", flat=True)) == {"127.0.0.5"}
