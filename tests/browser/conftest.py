"""A real site on a free port and a real Chromium in front of it.

The site runs in a thread of the test process over the test database, with static files collected,
hashed and compressed as in production. Any console error or page error fails the test.
"""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import pytest
import uvicorn
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.test import Client, override_settings
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from accounts.models import Role, Team
from connections.models import Connection, Status
from dgxsite.routing import websocket_urlpatterns
from metrics.collectors.readings import Sample
from metrics.live.store import Recorder
from tests import factories
from tests.programs import require_program

CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What the pages do not use; collecting it would take most of the time.
_OTHER_PACKAGES = ["admin", "ninja"]
_START_SECONDS = 20


# When a test gives up; nothing is promised by it, and the processors may be busy elsewhere.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def static_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static files as production serves them, made once for all workers of a run."""
    return collect_static(tmp_path_factory, "static", _OTHER_PACKAGES)


def collect_static(
    tmp_path_factory: pytest.TempPathFactory, name: str, other_packages: Collection[str]
) -> Path:
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    root, draft = shared / name, shared / f"{name}-draft"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be at it
        if not root.exists():
            with override_settings(**_static_settings(draft)):
                call_command(
                    "collectstatic",
                    ignore_patterns=list(other_packages),
                    verbosity=0,
                    interactive=False,
                )
            draft.rename(root)
    return root


def _static_settings(root: Path) -> dict[str, object]:
    storage = {"BACKEND": "dgxsite.http.static.HashedFiles"}
    return {"STATIC_ROOT": root, "STORAGES": settings.STORAGES | {"staticfiles": storage}}


@pytest.fixture
def site(
    transactional_db: None, redis_client: object, static_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of a running site."""
    # Playwright keeps an event loop in this thread, in which Django would refuse its ORM.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with override_settings(**_static_settings(static_root)):
        # As dgxsite/asgi.py does it; made here, because WhiteNoise reads the settings once.
        routes = {"http": get_asgi_application(), "websocket": URLRouter(websocket_urlpatterns)}
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(
                ProtocolTypeRouter(routes),
                ws="websockets-sansio",
                ws_max_size=65536,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                timeout_graceful_shutdown=2,
            )
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
            thread.start()
            _wait_for(lambda: server.started)
            yield f"http://localhost:{listener.getsockname()[1]}"
            server.should_exit = True
            thread.join(10)


def _wait_for(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "the site did not start"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = require_program("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
        yield chromium
        chromium.close()


@dataclass
class Visitor:
    """A person with a browser; `complaints` are console and page errors, forgiven one by one."""

    site: str
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.site + path)
        return self.page

    def enter(self, username: str) -> "Visitor":
        """Be logged in, without the page for it: the tests of the sign-in walk through that."""
        client = Client(HTTP_USER_AGENT=self.page.evaluate("navigator.userAgent"))
        answer = client.post("/accounts/login/", {"login": username, "password": "password"})
        assert answer.status_code == HTTPStatus.FOUND, answer.content
        self.context.add_cookies(
            [
                {"name": name, "value": morsel.value, "url": self.site}
                for name, morsel in client.cookies.items()
            ]
        )
        return self

    def log_in(self, username: str) -> Page:
        self.open("/accounts/login/")
        self.page.get_by_label("User name or e-mail").fill(username)
        self.page.get_by_label("Password").fill("password")
        self.page.get_by_role("button", name="Log in", exact=True).click()
        self.page.wait_for_url(self.site + "/")
        return self.page

    def forgive(self, part: str) -> None:
        """Drop the complaints that a test provoked."""
        self.complaints[:] = [text for text in self.complaints if part not in text]


@pytest.fixture
def visit(site: str, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Open a browser window of a given width; at the end it must have nothing to complain about."""
    visitors: list[Visitor] = []

    def new(width: int = 1280, *, java_script: bool = True) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
            java_script_enabled=java_script,
        )
        context.set_default_timeout(30_000)
        visitor = Visitor(site, context, context.new_page())
        page, complaints = visitor.page, visitor.complaints
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # Nobody answers a dialog, so Playwright dismisses it; it is a complaint all the same.
        page.on("dialogclosed", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        visitors.append(visitor)
        return visitor

    yield new
    for visitor in visitors:
        visitor.context.close()
    assert [text for visitor in visitors for text in visitor.complaints] == []


@dataclass
class Fleet:
    """A team's machines, and the keeper's pen that writes their samples."""

    team: Team
    recorder: Recorder = field(default_factory=Recorder)

    def add(self, name: str, **fields: object) -> Connection:
        values = {"status": Status.CONNECTED, "is_active": True} | fields
        return factories.make_connection(team=self.team, name=name, **values)

    def record(self, machine: Connection, *samples: Sample) -> None:
        for sample in samples:
            self.recorder.sessions.note(machine.pk, self, sample)
            self.recorder.add(machine.pk, self.team.pk, 1, sample)
        self.recorder.flush({machine.pk: 1})


@pytest.fixture
def fleet(site: str) -> Fleet:
    """A team with `boss` (administrator) and `guest` (viewer), and no machine yet."""
    team = factories.make_team()
    factories.join(factories.make_user("boss"), team, Role.ADMINISTRATOR)
    factories.join(factories.make_user("guest"), team, Role.VIEWER)
    return Fleet(team)
